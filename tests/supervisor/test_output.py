import io

from architect.supervisor.output import LONGEST_LINE, OURS, Lines, Output


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_it_marks_each_line_with_its_program_in_one_column():
    stream = io.StringIO()
    output = Output(stream, environment={})

    output.line("web", "started")
    output.line("engine", "loading")
    output.line(OURS, "Ready.")

    assert stream.getvalue() == "web    | started\nengine | loading\nReady.\n"


def test_it_colours_the_mark_on_a_terminal():
    terminal = Terminal()

    Output(terminal, environment={}).line("web", "started")

    assert terminal.getvalue() == "\033[36mweb    |\033[0m started\n"


def test_it_uses_no_colour_where_none_is_wanted():
    terminal = Terminal()

    Output(terminal, environment={"NO_COLOR": "1"}).line("web", "started")

    assert terminal.getvalue() == "web    | started\n"


def test_it_joins_the_pieces_of_a_line():
    lines = Lines()

    assert lines.take(b"one\ntw") == ["one"]
    assert lines.take(b"o\r\nthree") == ["two"]
    assert lines.take_rest() == ["three"]
    assert lines.take_rest() == []


def test_it_does_not_wait_for_the_end_of_an_endless_line():
    lines = Lines()

    shown = lines.take(b"x" * (LONGEST_LINE + 1))

    assert shown == ["x" * (LONGEST_LINE + 1)]


def test_a_line_cannot_steer_the_terminal():
    assert Lines().take(b"\x1b[2J\xff\tgone\n") == ["�[2J�\tgone"]
