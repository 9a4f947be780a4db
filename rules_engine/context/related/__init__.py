"""Rows of relations to many: how many are read at a time, and reading those of many objects together."""
