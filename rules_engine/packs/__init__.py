"""Rule packs: rules shipped as Django fixtures, found, checked, installed, compared and written."""
