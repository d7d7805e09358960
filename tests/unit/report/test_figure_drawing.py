"""Lines and marks that several figures share."""

from figure_study import study

from awd.report.figures import curves


def test_one_epoch_is_a_dot_and_several_seeds_have_a_band(tmp_path):
    inputs = study(tmp_path, corpora=("ptb",))
    frame = inputs["curves"]
    first = frame[(frame["epoch"] == 1) & (frame["stage"] == "train")]
    (axis, *_) = curves.draw(**inputs | {"curves": first}).axes
    means = [line for line in axis.lines if line.get_gid() == "mean"]
    assert means
    assert {(line.get_marker(), len(line.get_xdata())) for line in means} == {("o", 1)}
    low, high = axis.get_xlim()
    assert [tick for tick in axis.get_xticks() if low <= tick <= high] == [1]
    (axis, *_) = curves.draw(**inputs).axes
    means = [line for line in axis.lines if line.get_gid() == "mean"]
    assert {line.get_marker() for line in means} <= {"", "None"}
    bands = [band for band in axis.collections if band.get_gid() == "band"]
    assert len(bands) == len(means)
    of_base = frame[frame["run"].str.fullmatch("ptb.*-full") & (frame["stage"] == "train")]
    low = of_base.groupby("epoch")["valid_perplexity"].min()
    assert set(low).issubset(bands[0].get_paths()[0].vertices[:, 1])
