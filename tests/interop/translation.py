"""Which fields modeltranslation gives a column for each language."""

from __future__ import annotations

from modeltranslation.translator import TranslationOptions, register

from tests.interop.models import Article, Packaged, PackagedChild, PackagedProxy


@register(Article)
class ArticleTranslation(TranslationOptions):
    fields = ("title",)


@register(Packaged)
class PackagedTranslation(TranslationOptions):
    fields = ("title",)


@register(PackagedChild)
class PackagedChildTranslation(TranslationOptions):
    fields = ()


@register(PackagedProxy)
class PackagedProxyTranslation(TranslationOptions):
    fields = ()
