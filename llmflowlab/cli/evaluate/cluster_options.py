"""What can be typed of a cluster, after `evaluate` and `registry batch`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from llmflowlab.cli.options import whole
from llmflowlab.errors import InputError

if TYPE_CHECKING:
    from llmflowlab.lab.evaluation_request import RayRequest

__all__ = ["add_cluster_options", "ray_request"]


def add_cluster_options(parser: argparse.ArgumentParser, *, traced: bool = True) -> None:
    """Declare where the work is done; `traced` where MLflow gets a trace of each answer."""
    add = parser.add_argument_group("where it runs").add_argument
    add(
        "--runner",
        choices=["local", "ray"],
        default="local",
        help="in this process (default), or on workers of a Ray cluster",
    )
    add(
        "--ray-address",
        metavar="ADDRESS",
        help="with --runner ray: local starts workers here (default), auto or an address joins a cluster",
    )
    add("--workers", type=whole, metavar="N", help="how many (default: processors of the cluster)")
    add(
        "--storage",
        metavar="URL",
        help="folder or s3://bucket/folder that all machines see; needed on a cluster",
    )
    add("--shard-rows", type=whole, metavar="N", help="rows that a worker takes at a time")
    if traced:
        add(
            "--traces",
            type=whole,
            metavar="N",
            help="answers up to which MLflow has a trace of each (default 10,000); of more, those that "
            "failed and a sample",
        )
    else:
        parser.set_defaults(traces=None)


def ray_request(arguments: argparse.Namespace) -> RayRequest | None:
    """Return on which cluster it is to run; None where in this process.

    Raises:
        InputError: An option of a cluster is given without one.
    """
    if arguments.runner != "ray":
        for name in ("ray_address", "workers", "storage", "traces", "shard_rows"):
            if getattr(arguments, name) is not None:
                option = name.replace("_", "-")
                raise InputError(f"--{option} is about a cluster; add --runner ray.")
        return None
    # Imported here: reading the command line must not wait for what is done then.
    from llmflowlab.lab.evaluation_request import RayRequest

    return RayRequest(
        address=arguments.ray_address,
        workers=arguments.workers,
        storage=arguments.storage,
        traces=arguments.traces,
        shard_rows=arguments.shard_rows,
    )
