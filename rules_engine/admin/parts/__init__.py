"""What the pages share: how values are drawn, lists searched, and odd addresses answered."""
