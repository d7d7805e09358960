"""Learning rates: a line per schedule."""

from figure_study import study

from awd.report.figures import (
    schedules,
)


def test_rows_of_one_schedule_share_a_line(tmp_path):
    """Seven rows keep rate 30, one is decayed: two lines, and each start of averaging is marked."""
    inputs = study(tmp_path)
    frame = inputs["curves"]
    decayed = frame["run"].str.endswith("minus-nt-asgd")
    frame.loc[decayed, "learning_rate"] = 30 / 2.0 ** frame.loc[decayed, "epoch"]
    axis = schedules.draw(**inputs).axes[0]
    lines = {line.get_label(): line for line in axis.lines if line.get_gid() == "mean"}
    assert set(lines) == {"AWD-LSTM and 6 more", "− NT-ASGD"}
    assert set(lines["AWD-LSTM and 6 more"].get_ydata()) == {30.0}
    assert lines["− NT-ASGD"].get_ydata()[:3].tolist() == [15, 7.5, 3.75]
    assert axis.get_yscale() == "log"
    # the six trainings and the row without fine-tuning, which is one of them
    assert sum(line.get_marker() == "D" for line in axis.lines) == 7


def test_rates_close_together_have_a_linear_axis_from_zero(tmp_path):
    """A logarithm would make a small difference look large."""
    inputs = study(tmp_path)
    inputs["curves"].loc[inputs["curves"]["run"].str.endswith("full"), "learning_rate"] = 10.0
    axis = schedules.draw(**inputs).axes[0]
    assert axis.get_yscale() == "linear"
    assert axis.get_ylim()[0] == 0
