"""``delete_files``, on real files in a media folder of the test's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.core.files.base import ContentFile
from django.db import models, transaction

from project.accounts.models import User
from project.shop.models import Product, ProductImage
from rules_engine.actions.files import stored_files
from rules_engine.errors import InvalidRule
from rules_engine.models import Attempt, Execution
from rules_engine.rules.validation import rule_problems
from rules_engine.testing import ActionContractTests, create_rule, run_due
from rules_engine.types import ActionSpec, RuleSpec
from tests.factories import make_product
from tests.zoo.written import Paper

pytestmark = pytest.mark.django_db(transaction=True)


class TestContract(ActionContractTests):
    kind = "delete_files"
    config = {"fields": ["image", "images.image"]}
    rule = RuleSpec(slug="clean-up", model="shop.product", signals=("pre_delete",))
    context = {"instance": {"image": "", "images": []}}


@pytest.fixture(autouse=True)
def media(settings: Any, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = str(tmp_path)
    return tmp_path


def file(text: str = "x", name: str = "a.png") -> ContentFile:
    return ContentFile(text.encode(), name=name)


def product_with_file(**fields: Any) -> Product:
    return make_product(**{"image": file(), **fields})


def files_in(media: Path) -> set[str]:
    return {str(path.relative_to(media)) for path in media.rglob("*") if path.is_file()}


def on_delete(model: Any = Product, *fields: str, signals: tuple[str, ...] = ("post_delete",), **more: Any) -> Any:
    return create_rule(model, signals, actions=[("delete_files", {"fields": list(fields or ("image",))})], **more)


def problems(*fields: Any, model: str = "shop.product", signals: tuple[str, ...] = ("post_delete",)) -> dict[str, str]:
    action = ActionSpec("delete_files", {"fields": list(fields)})
    found = rule_problems(RuleSpec(slug="r", model=model, signals=signals, actions=(action,)))
    return {problem.pointer.removeprefix("/actions/0/config"): problem.message for problem in found}


@pytest.mark.parametrize("signal", ["pre_delete", "post_delete"])
def test_the_file_of_a_deleted_object_goes_and_the_others_stay(media: Path, signal: str) -> None:
    on_delete(signals=(signal,))
    gone, other = product_with_file(), product_with_file(image=file(name="b.png"))
    gone.delete()
    assert files_in(media) == {"products/a.png", "products/b.png"}
    assert run_due() == 1
    assert files_in(media) == {other.image.name}
    execution = Execution.objects.get()
    assert (execution.state, execution.summary) == ("succeeded", "Deleted products/a.png")
    assert Attempt.objects.get().detail == {"deleted": ["products/a.png"], "kept": [], "gone": []}


def test_objects_deleted_by_a_queryset_take_their_files_along(media: Path) -> None:
    on_delete()
    product_with_file()
    product_with_file()
    Product.objects.all().delete()
    run_due()
    assert files_in(media) == set()


def test_the_files_of_rows_that_go_with_the_object_go_too(media: Path) -> None:
    on_delete(Product, "image", "images.image", signals=("pre_delete",))
    product, other = product_with_file(), product_with_file(image="")
    for owner in (product, product, other):
        ProductImage.objects.create(product=owner, image=file())
    [kept] = [one.image.name for one in other.images.all()]
    product.delete()
    run_due()
    assert files_in(media) == {kept}


def test_a_delete_that_is_rolled_back_keeps_the_file(media: Path) -> None:
    on_delete()
    product = product_with_file()
    with transaction.atomic():
        product.delete()
        transaction.set_rollback(True)
    assert run_due() == 0
    assert files_in(media) == {"products/a.png"}


def test_a_file_that_another_row_uses_is_kept_until_the_last_one_goes(media: Path) -> None:
    on_delete()
    first = product_with_file()
    second = product_with_file(image=first.image.name)
    first.delete()
    run_due()
    assert files_in(media) == {"products/a.png"}
    assert Execution.objects.get().summary == "Kept products/a.png (in use by shop.product.image)"
    second.delete()
    run_due()
    assert files_in(media) == set()


def test_a_file_that_another_model_uses_is_kept(media: Path) -> None:
    on_delete()
    user = User.objects.create(username="ada", cv=file(name="cv.pdf"))
    product_with_file(image=user.cv.name).delete()
    run_due()
    assert files_in(media) == {"cv/cv.pdf"}
    assert "accounts.user.cv" in Execution.objects.get().summary


def test_a_file_that_is_gone_already_is_a_success() -> None:
    on_delete()
    product = product_with_file()
    product.image.storage.delete(product.image.name)
    product.delete()
    run_due()
    execution = Execution.objects.get()
    assert (execution.state, execution.summary) == ("succeeded", "Already gone: products/a.png")


def test_an_object_without_a_file_is_a_success() -> None:
    on_delete()
    product_with_file(image="").delete()
    run_due()
    assert Execution.objects.get().summary == "No file to delete"


@pytest.mark.parametrize("signal", ["pre_save", "post_save"])
def test_a_replaced_file_goes_and_the_new_one_stays(media: Path, signal: str) -> None:
    create_rule(User, [signal], ["update"], actions=[("delete_files", {"fields": ["cv"]})])
    user = User.objects.create(username="ada", cv=file(name="old.pdf"))
    user.cv = file(name="new.pdf")
    user.save()
    assert files_in(media) == {"cv/old.pdf", "cv/new.pdf"}
    run_due()
    assert files_in(media) == {"cv/new.pdf"}


def test_a_file_that_is_taken_away_goes(media: Path) -> None:
    create_rule(User, changes=[{"field": "cv"}], actions=[("delete_files", {"fields": ["cv"]})])
    user = User.objects.create(username="ada", cv=file(name="old.pdf"))
    user.cv = ""
    user.save(update_fields=["cv"])
    run_due()
    assert files_in(media) == set()


def test_a_save_that_leaves_the_file_alone_leaves_it_alone(media: Path) -> None:
    create_rule(User, actions=[("delete_files", {"fields": ["cv"]})])
    user = User.objects.create(username="ada", cv=file(name="old.pdf"))
    user.first_name = "Ada"
    user.save()
    User.objects.defer("cv").get().save()
    run_due()
    assert files_in(media) == {"cv/old.pdf"}
    assert {one.summary for one in Execution.objects.all()} == {"No file to delete"}


def test_a_file_put_back_before_the_rule_acts_is_kept(media: Path) -> None:
    create_rule(User, actions=[("delete_files", {"fields": ["cv"]})])
    user = User.objects.create(username="ada", cv=file(name="a.pdf"))
    first = user.cv.name
    for name in ("", first):
        user.cv = name
        user.save()
    run_due()
    assert files_in(media) == {first}


@pytest.mark.parametrize(
    "name", ["../outside.txt", "/etc/hosts", "cv/./cv.pdf", "cv//cv.pdf", "cv\\cv.pdf", "cv/", "."]
)
def test_a_name_that_is_no_plain_path_below_the_storage_is_refused(tmp_path: Path, settings: Any, name: str) -> None:
    settings.MEDIA_ROOT = str(tmp_path / "media")
    outside = tmp_path / "outside.txt"
    outside.write_text("x")
    User.objects.create(username="ada", cv=file(name="cv.pdf"))
    on_delete()
    product = product_with_file(image="")
    Product.objects.filter(pk=product.pk).update(image=name)
    Product.objects.get().delete()
    run_due()
    assert Execution.objects.get().state == "refused"
    assert files_in(tmp_path) == {"outside.txt", "media/cv/cv.pdf"}


def test_a_file_whose_name_was_not_loaded_goes_as_well(media: Path) -> None:
    on_delete()
    product_with_file()
    Product.objects.defer("image").get().delete()
    run_due()
    assert Execution.objects.get().state == "succeeded"
    assert files_in(media) == set()


def test_a_storage_that_cannot_be_used_is_tried_again(media: Path) -> None:
    on_delete()
    product = product_with_file(image="")
    (media / "products").write_text("in the way")
    Product.objects.filter(pk=product.pk).update(image="products")
    (media / "products").unlink()
    (media / "products").mkdir()
    (media / "products" / "kept.png").write_text("x")
    Product.objects.get().delete()
    run_due()
    assert Execution.objects.get().state == "retryable"
    assert files_in(media) == {"products/kept.png"}


def test_two_folders_do_not_share_files_and_unknown_storages_may(tmp_path: Path) -> None:
    from django.core.files.storage import FileSystemStorage, InMemoryStorage, default_storage

    elsewhere = FileSystemStorage(location=str(tmp_path / "elsewhere"))
    assert stored_files._name_in(elsewhere, default_storage, "a/b.txt") is None
    assert stored_files._name_in(FileSystemStorage(), default_storage, "a/b.txt") == "a/b.txt"
    assert stored_files._name_in(InMemoryStorage(), default_storage, "a/b.txt") == "a/b.txt"


def test_one_folder_within_another_has_its_files_by_shorter_names(tmp_path: Path) -> None:
    from django.core.files.storage import FileSystemStorage

    outer, inner = FileSystemStorage(location=str(tmp_path)), FileSystemStorage(location=str(tmp_path / "private"))
    assert stored_files._name_in(inner, outer, "private/a.txt") == "a.txt"
    assert stored_files._name_in(outer, inner, "a.txt") == "private/a.txt"
    assert stored_files._name_in(inner, outer, "public/a.txt") is None


@pytest.mark.parametrize("field", ["file", "cover"])
@pytest.mark.parametrize("how", ["deleted", "replaced"])
def test_the_file_that_is_a_fields_default_is_never_deleted(media: Path, field: str, how: str) -> None:
    name = str(Paper._meta.get_field(field).get_default())
    (media / name).parent.mkdir(exist_ok=True)
    (media / name).write_text("for all that have none of their own")
    signals = ["post_delete"] if how == "deleted" else ["post_save"]
    create_rule(model=Paper, signals=signals, actions=[("delete_files", {"fields": [field]})])
    paper = Paper.objects.create()
    if how == "deleted":
        paper.delete()
    else:
        getattr(paper, field).save("own.txt", ContentFile(b"own"))
    run_due()
    assert name in files_in(media)
    assert f"zoo.paper.{field}, as its default" in Execution.objects.latest("created_at").summary


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (("imge",), 'Did you mean "image"?'),
        (("name",), "no file field of product"),
        (("images.imag",), 'Did you mean "images.image"?'),
        (("images",), "no file field"),
        (("category.image",), "The file fields are: "),
        (("tags.name",), "no file field"),
        ((3,), "got 3"),
        (("images.image",), "use pre_delete"),
    ],
)
def test_what_is_no_file_field_is_reported_at_its_place(fields: tuple[Any, ...], words: str) -> None:
    found = problems(*fields)
    assert list(found) == ["/fields/0"]
    assert words in found["/fields/0"]


def test_a_rule_without_files_is_reported() -> None:
    assert "at least one" in problems()["/fields"]
    assert "no model" in problems("image", model="", signals=("shop.order_paid",))["/fields"]
    assert "m2m_changed" in problems("image", signals=("m2m_changed",))["/fields"]
    with pytest.raises(InvalidRule):
        on_delete(Product, "images.image", signals=("post_delete",))


def test_its_author_needs_to_be_allowed_to_delete_what_loses_its_files(media: Path) -> None:
    author = get_user_model().objects.create_user("author", is_staff=True)
    author.user_permissions.add(
        *Permission.objects.filter(codename__in=["view_product", "view_productimage", "delete_product"])
    )
    on_delete(Product, "image", "images.image", signals=("pre_delete",), author=author)
    product_with_file().delete()
    run_due()
    execution = Execution.objects.get()
    assert execution.state == "refused"
    assert execution.error.endswith("lacks the permission shop.delete_productimage.")
    assert files_in(media) == {"products/a.png"}


def test_every_file_field_of_the_site_is_asked() -> None:
    found = {f"{model._meta.label_lower}.{one.name}" for model, one in stored_files._file_fields()}
    assert found >= {"shop.product.image", "shop.productimage.image", "accounts.user.cv"}
    assert all(isinstance(one, models.FileField) for _, one in stored_files._file_fields())
