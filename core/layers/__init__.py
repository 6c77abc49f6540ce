"""Every layer there is. The union is the registry: a new layer is one file and one word here."""

from typing import Annotated

from pydantic import Field

from core.layers.avg_pool2d import AvgPool2D
from core.layers.batch_norm import BatchNorm
from core.layers.conv1d import Conv1D
from core.layers.conv2d import Conv2D
from core.layers.dense import Dense
from core.layers.dropout import Dropout
from core.layers.elu import ELU
from core.layers.embedding import Embedding
from core.layers.expression import Expression
from core.layers.flatten import Flatten
from core.layers.gelu import GELU
from core.layers.global_avg_pool import GlobalAvgPool
from core.layers.global_max_pool import GlobalMaxPool
from core.layers.gru import GRU
from core.layers.layer_norm import LayerNorm
from core.layers.leaky_relu import LeakyReLU
from core.layers.lstm import LSTM
from core.layers.max_pool2d import MaxPool2D
from core.layers.relu import ReLU
from core.layers.reshape import Reshape
from core.layers.residual import Residual
from core.layers.self_attention import SelfAttention
from core.layers.sigmoid import Sigmoid
from core.layers.silu import SiLU
from core.layers.simple_rnn import SimpleRNN
from core.layers.softmax import Softmax
from core.layers.softplus import Softplus
from core.layers.tanh import Tanh

AnyLayer = Annotated[
    Dense
    | Flatten
    | Sigmoid
    | Tanh
    | ReLU
    | Softmax
    | Dropout
    | Residual
    | LeakyReLU
    | ELU
    | GELU
    | SiLU
    | Softplus
    | Conv2D
    | Conv1D
    | MaxPool2D
    | AvgPool2D
    | GlobalMaxPool
    | GlobalAvgPool
    | Reshape
    | Expression
    | BatchNorm
    | Embedding
    | GRU
    | LayerNorm
    | LSTM
    | SelfAttention
    | SimpleRNN,
    Field(discriminator="type"),
]

Residual.model_rebuild()  # it contains layers of any kind, which are known only here
