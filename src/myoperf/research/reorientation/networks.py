"""The networks of Ni et al. 2023 by name: ablations (their Table 3) and peers (Table 4), in two sizes."""

from collections.abc import Callable
from typing import Literal

from torch import nn

from myoperf.research.reorientation.dense_unet import DenseUNet, DenseUNetConfig
from myoperf.research.reorientation.ms_st_unet import (
    ABLATIONS,
    MSUNET,
    POSE_ONLY,
    MSSTUNet,
    MSSTUNetConfig,
    PoseNetwork,
    ablation,
    compact_config,
)
from myoperf.research.reorientation.nn_unet import NNUNet, NNUNetConfig, plan_channels
from myoperf.research.reorientation.omega_net import OmegaNet, OmegaNetConfig
from myoperf.research.reorientation.v_net import VNet, VNetConfig

Size = Literal["paper", "compact"]

PEERS: dict[str, dict[Size, Callable[[], nn.Module]]] = {
    "v-net": {
        "paper": VNet,
        "compact": lambda: VNet(VNetConfig(width=4, depths=(1, 1, 2, 2, 2), norm="instance")),
    },
    "dense-unet": {
        "paper": DenseUNet,
        "compact": lambda: DenseUNet(DenseUNetConfig(first=4, growth=8, depths=(1, 4, 6, 8), norm="instance")),
    },
    "nn-unet": {
        "paper": NNUNet,
        "compact": lambda: NNUNet(NNUNetConfig(plan_channels(64, base=8, most=96))),
    },
    "omega-net": {
        "paper": OmegaNet,
        "compact": lambda: OmegaNet(OmegaNetConfig(channels=(8, 16, 32, 64, 96), stack=1, hidden=128, norm="instance")),
    },
}
LV_NETWORKS = (*ABLATIONS, MSUNET, *POSE_ONLY, *PEERS)
"""In the order of the tables: Table 3, MSUNet of Table 4 in the true pose, figure 4's localisers, the peers."""


def build_lv_network(name: str, size: Size = "compact") -> nn.Module:
    """Build a network by its name in the tables, with random weights.

    Parameters
    ----------
    name
        One of ``LV_NETWORKS``; ``rot-op2-seg-op2`` is MS-ST-UNet.
    size
        "paper", for 128^3, or "compact", for 48^3 to 64^3 on a plain CPU.

    Raises
    ------
    ValueError
        For another name or size.
    """
    if name not in LV_NETWORKS or size not in ("paper", "compact"):
        raise ValueError(
            f"A network of {', '.join(LV_NETWORKS)} in size paper or compact was expected; got {name!r}, {size!r}."
        )
    if name in PEERS:
        return PEERS[name][size]()
    config = ablation(MSSTUNetConfig() if size == "paper" else compact_config(), name)
    return PoseNetwork(config) if name in POSE_ONLY else MSSTUNet(config)
