"""`emorec probe`: what a trained network's vectors tell about the speaker, and about the emotion."""

import argparse
from pathlib import Path

HELP = "probe a finished run's network for the speaker and the emotion"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("run_folder", type=Path, metavar="RUN", help="a run's folder, with fold_1 and so on")
    parser.add_argument("--fold", default="1", metavar="K", help="the fold whose network is probed (default: 1)")
    parser.add_argument("--to", type=Path, metavar="DIR", help="folder for the results (default: RUN/fold_K/probe)")
    parser.add_argument(
        "--beside",
        type=Path,
        metavar="RUN",
        action="append",
        default=[],
        help="of a run of train_ad.py: another one on the same folds, to be drawn beside it in networks.png, after "
        "the front end that this one started from; may be given again",
    )
    parser.add_argument("--data-folder", metavar="DIR", help="where the corpus is now, if it was moved")
    parser.add_argument("--feature-folder", metavar="DIR", help="where the feature stores are now, if they were moved")
    parser.add_argument(
        "--pooling",
        choices=("mean_std", "average", "profile"),
        default="mean_std",
        help="of feature maps: mean and deviation of each channel (default), its mean, or its mean at each frequency",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the split and of the network probe (default: 0)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")


def run(args: argparse.Namespace) -> int:
    """Probes, writes the results and prints their table."""
    from emorec_lobes.experiments.probe import fit_linear, network_fit
    from emorec_lobes.experiments.probe_run import probe_all, stamped, write_networks, write_probes
    from emorec_lobes.experiments.probed_run import (
        Source,
        before_training,
        check_side_by_side,
        fold_settings,
        gather,
        gather_ends,
        spectrum_inputs,
        speech_inputs,
    )
    from emorec_lobes.features.speech import check_device
    from emorec_lobes.inference.finished import open_fold
    from emorec_lobes.models.probe import HIDDEN_DIMS, Probe
    from emorec_lobes.models.probe_points import ad_shares, code_points, end_points, utterance_points

    check_device(args.device)
    pooled = f"vectors are feature maps pooled by {args.pooling}, the mean over an utterance's windows"
    sources = {
        "emorec_lobes.models.cross_representation.CrossRepresentation": Source(
            speech_inputs, code_points, "vectors are the codes of a segment, one behind the other"
        ),
        "emorec_lobes.models.emotion_network.EmotionNetwork": Source(
            spectrum_inputs,
            lambda network, windows: utterance_points(network.front_end, windows, args.pooling),
            pooled,
            lambda network, windows: end_points(network.front_end, windows, args.pooling),
            lambda network, windows: ad_shares(network.front_end, windows),
        ),
    }
    fold = open_fold(args.run_folder, args.fold, sources)
    moved = {"data_folder": args.data_folder, "feature_folder": args.feature_folder}
    settings = fold_settings(fold.folder, fold.hparams, **moved)
    beside = {str(run): open_fold(run, args.fold, [fold.target]) for run in args.beside}
    check_side_by_side(settings, {run: each.hparams for run, each in beside.items()}, sources[fold.target])
    probed = gather(settings, args.fold, fold.model, sources[fold.target], args.device, progress=True)
    network = network_fit(lambda width, classes: Probe(width, HIDDEN_DIMS, classes), args.seed, device=args.device)
    found = probe_all(probed, {"network": network, "linear": fit_linear}, args.seed, progress=True)
    record = stamped(found, fold.folder, fold.record, sources[fold.target].vectors)
    folder = args.to or fold.folder / "probe"
    print(write_probes(folder, record, probed, progress=True), end="")
    if sources[fold.target].end is not None:
        networks = before_training(settings, fold.model) | {run: each.model for run, each in beside.items()}
        networks[str(args.run_folder)] = fold.model
        ends = gather_ends(settings, args.fold, networks, sources[fold.target], args.device, progress=True)
        write_networks(folder, record, probed, ends, progress=True)
    return 0
