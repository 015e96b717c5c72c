"""An app's state as a link, as Python and as a page that stands alone."""

from lrp_widgets.lazy import modules_of

__getattr__ = modules_of(__name__)
