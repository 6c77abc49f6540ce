"""What each layer, loss and optimizer is held against, and what was chosen where libraries differ.

Every member of the three unions has a line here; `test_unions.py` sees to it.
"""

LAYERS = {
    "dense": ("nn.Linear", "W is (inputs, units), PyTorch's transposed"),
    "flatten": ("Tensor.flatten", "row-major, channels last"),
    "reshape": ("Tensor.reshape", "row-major"),
    "sigmoid": ("torch.sigmoid", ""),
    "tanh": ("torch.tanh", ""),
    "relu": ("torch.relu", "slope 0 at 0"),
    "leaky_relu": ("leaky_relu", "slope 0.01 unless told otherwise"),
    "elu": ("elu", "alpha 1 unless told otherwise"),
    "gelu": ("gelu", "exact, by erf; not the form with tanh"),
    "silu": ("silu", ""),
    "softplus": ("softplus", "never cut off to a line, which PyTorch does beyond 20"),
    "softmax": ("softmax", "over the last axis"),
    "dropout": ("the same masks", "kept values grow by 1 / (1 - rate) in training"),
    "residual": ("x + F(x)", ""),
    "expression": ("autograd of the formula", "at a kink of min, max and abs PyTorch shares or drops the gradient"),
    "conv2d": ("nn.Conv2d", 'cross-correlation; "same" as in TensorFlow, the odd cell of padding behind'),
    "conv1d": ("nn.Conv1d", "as conv2d"),
    "max_pool2d": ("max_pool2d", "of equal values the first in row-major order wins; padding never does"),
    "avg_pool2d": ("avg_pool2d", "padding does not count (count_include_pad=False)"),
    "global_avg_pool": ("mean", ""),
    "global_max_pool": ("max", "the first of equal values wins; amax would share"),
    "batch_norm": (
        "nn.BatchNorm1d, 2d",
        "epsilon 1e-5; running = 0.9 running + 0.1 batch, its variance with 1/(m - 1), that of the batch with 1/m",
    ),
    "layer_norm": ("nn.LayerNorm", "over the last axis; epsilon 1e-5, variance with 1/k"),
    "embedding": ("nn.Embedding", ""),
    "simple_rnn": ("nn.RNN", "one bias: PyTorch's second stays zero"),
    "lstm": ("nn.LSTM", "gates i, f, g, o; one bias: PyTorch's second stays zero"),
    "gru": ("nn.GRU", "gates r, z, n; r acts behind the recurrent product, with a bias of its own"),
    "self_attention": ("nn.MultiheadAttention", "columns of q, k, v in this order, each cut into the heads"),
}

LOSSES = {
    "quadratic": ("mse_loss", "sum over outputs; PyTorch and mean_squared_error take their mean"),
    "mean_squared_error": ("mse_loss", "mean over outputs and examples"),
    "mean_absolute_error": ("l1_loss", "mean over outputs and examples; slope 0 at 0"),
    "huber": ("huber_loss", "mean over outputs and examples"),
    "cross_entropy": (
        "cross_entropy",
        "class weights multiply costs, which are divided by n, not by the sum of weights; with smoothing too",
    ),
    "binary_cross_entropy": ("binary_cross_entropy_with_logits", "sum over outputs"),
    "hinge": ("Crammer and Singer (2001); Cortes and Vapnik (1995)", "PyTorch's multi-class hinge is another one"),
}

OPTIMIZERS = {
    "sgd": ("optim.SGD", "v = momentum v + g, the rate is applied to v"),
    "momentum": ("optim.SGD", "v = momentum v + g, the rate is applied to v"),
    "nesterov": ("optim.SGD(nesterov)", "in the form that never leaves theta"),
    "rmsprop": ("optim.RMSprop", "epsilon outside the root"),
    "adagrad": ("optim.Adagrad", "epsilon outside the root"),
    "adadelta": ("optim.Adadelta", "epsilon inside the roots; rate 1"),
    "adam": ("optim.Adam", "epsilon behind the correction of the second moment"),
    "adamw": ("optim.AdamW", "weights decay, biases do not (a group of their own in PyTorch)"),
    "nadam": ("optim.NAdam", "momentum warms up, 0.004"),
}
