"""A trained network as an ONNX file, for every runtime that reads them.

checkpoint --export--> graph: one rule for each kind of layer --messages--> bytes
"""

from core.onnx.export import to_onnx
from core.onnx.graph import NotExportable
from core.onnx.messages import IR_VERSION, OPSET

__all__ = ["IR_VERSION", "OPSET", "NotExportable", "to_onnx"]
