"""An app of models in every shape that Django has, for tests."""
