"""Widgets: …Picker chooses, …Editor edits a frozen value, …View only shows. No torch here."""

from lrp_widgets.widgets.arithmetic import ArithmeticView
from lrp_widgets.widgets.channels import ChannelsView
from lrp_widgets.widgets.classes import ClassPicker
from lrp_widgets.widgets.compare import CompareView
from lrp_widgets.widgets.composite import CompositeEditor
from lrp_widgets.widgets.control import Control
from lrp_widgets.widgets.curve import CurveView
from lrp_widgets.widgets.drawing import DrawingPad
from lrp_widgets.widgets.editor import SettingEditor
from lrp_widgets.widgets.folded import Folded
from lrp_widgets.widgets.gallery import Gallery
from lrp_widgets.widgets.heatmap import HeatmapView
from lrp_widgets.widgets.latest import Latest
from lrp_widgets.widgets.layers import LayersView
from lrp_widgets.widgets.lines import LinesView
from lrp_widgets.widgets.look import LookEditor
from lrp_widgets.widgets.maps import MapsView
from lrp_widgets.widgets.method import MethodPicker
from lrp_widgets.widgets.pages import Pages
from lrp_widgets.widgets.probe import ProbePad
from lrp_widgets.widgets.sharebar import ShareBar
from lrp_widgets.widgets.status import StatusLine
from lrp_widgets.widgets.toolbar import Toolbar
from lrp_widgets.widgets.upload import UploadPad

WIDGETS = (
    ArithmeticView,
    ChannelsView,
    ClassPicker,
    CompareView,
    CompositeEditor,
    CurveView,
    DrawingPad,
    Folded,
    Gallery,
    HeatmapView,
    LayersView,
    LinesView,
    LookEditor,
    MapsView,
    MethodPicker,
    Pages,
    ProbePad,
    SettingEditor,
    ShareBar,
    StatusLine,
    Toolbar,
    UploadPad,
)

__all__ = [
    "WIDGETS",
    "ArithmeticView",
    "ChannelsView",
    "ClassPicker",
    "CompareView",
    "CompositeEditor",
    "Control",
    "CurveView",
    "DrawingPad",
    "Folded",
    "Gallery",
    "HeatmapView",
    "Latest",
    "LayersView",
    "LinesView",
    "LookEditor",
    "MapsView",
    "MethodPicker",
    "Pages",
    "ProbePad",
    "SettingEditor",
    "ShareBar",
    "StatusLine",
    "Toolbar",
    "UploadPad",
]
