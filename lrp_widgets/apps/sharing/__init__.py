"""An app's state as a link, as Python and as a page that stands alone."""
