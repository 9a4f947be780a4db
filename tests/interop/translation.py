"""Which fields modeltranslation gives a column for each language."""

from __future__ import annotations

from modeltranslation.translator import TranslationOptions, register

from tests.interop.models import Article


@register(Article)
class ArticleTranslation(TranslationOptions):
    fields = ("title",)
