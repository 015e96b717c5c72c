"""Widgets: …Picker chooses, …Editor edits a frozen value, …View only shows. No torch here."""

from lrp_widgets.widgets.controls.classes import ClassPicker
from lrp_widgets.widgets.controls.composite import CompositeEditor
from lrp_widgets.widgets.controls.control import Control
from lrp_widgets.widgets.controls.drawing import DrawingPad
from lrp_widgets.widgets.controls.editor import SettingEditor
from lrp_widgets.widgets.controls.folded import Folded
from lrp_widgets.widgets.controls.gallery import Gallery
from lrp_widgets.widgets.controls.look import LookEditor
from lrp_widgets.widgets.controls.method import MethodPicker
from lrp_widgets.widgets.controls.pages import Pages
from lrp_widgets.widgets.controls.probe import ProbePad
from lrp_widgets.widgets.controls.sharebar import ShareBar
from lrp_widgets.widgets.controls.toolbar import Toolbar
from lrp_widgets.widgets.controls.upload import UploadPad
from lrp_widgets.widgets.latest import Latest
from lrp_widgets.widgets.views.arithmetic import ArithmeticView
from lrp_widgets.widgets.views.channels import ChannelsView
from lrp_widgets.widgets.views.compare import CompareView
from lrp_widgets.widgets.views.curve import CurveView
from lrp_widgets.widgets.views.heatmap import HeatmapView
from lrp_widgets.widgets.views.layers import LayersView
from lrp_widgets.widgets.views.lines import LinesView
from lrp_widgets.widgets.views.maps import MapsView
from lrp_widgets.widgets.views.prototypes import PrototypesView
from lrp_widgets.widgets.views.status import StatusLine

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
    PrototypesView,
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
    "PrototypesView",
    "SettingEditor",
    "ShareBar",
    "StatusLine",
    "Toolbar",
    "UploadPad",
]
