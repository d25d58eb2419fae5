"""`kars exec` on a terminal and on pipes: what a person types, sees and interrupts (issue 2, section 7)."""
import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

import pytest

from conftest import KARS, wait_until

DEADLINE = 30


@pytest.fixture(scope="module", autouse=True)
def agent(kars):
    kars("dev", "--detach", timeout=120)


class Screen:
    """A terminal of a person, with `kars exec` on it."""

    def __init__(self, kars, script, rows=31, columns=97):
        self.master, self.slave = pty.openpty()
        self.resize(rows, columns)
        self.before = termios.tcgetattr(self.slave)
        self.seen = b""
        self.process = kars.internet.popen(
            [KARS, "exec", "dev-agent", "--", "sh", "-c", script], stdin=self.slave, stdout=self.slave, stderr=self.slave,
            env=kars.environment, start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))

    def resize(self, rows, columns):
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, data):
        view = memoryview(data)
        while view:
            readable, writable, _ = select.select([self.master], [self.master], [], DEADLINE)
            assert readable or writable, f"nothing moves; {self.seen[-500:]!r}"
            if readable:
                self.seen += os.read(self.master, 65536)
            if writable:
                # A pty takes what fits and blocks for the rest: small pieces never wait.
                view = view[os.write(self.master, view[:512]):]

    def read_until(self, pattern):
        end = time.monotonic() + DEADLINE
        while not (match := re.search(pattern, self.seen)):
            readable, _, _ = select.select([self.master], [], [], max(0, end - time.monotonic()))
            assert readable, f"{pattern!r} did not come; seen: {self.seen[-2000:]!r}"
            self.seen += os.read(self.master, 65536)
        return match

    def wait(self):
        """The exit code, with all that was written in `seen`."""
        end = time.monotonic() + DEADLINE
        while self.process.poll() is None:
            assert time.monotonic() < end, f"kars exec does not end; seen: {self.seen[-2000:]!r}"
            if select.select([self.master], [], [], 0.05)[0]:
                self.seen += os.read(self.master, 65536)
        while select.select([self.master], [], [], 0)[0]:
            self.seen += os.read(self.master, 65536)
        return self.process.returncode

    def settings(self):
        return termios.tcgetattr(self.slave)

    @property
    def is_raw(self):
        return not self.settings()[3] & (termios.ICANON | termios.ECHO | termios.ISIG)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(DEADLINE)
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def screen(kars):
    with contextlib.ExitStack() as stack:
        yield lambda script, **options: stack.enter_context(contextlib.closing(Screen(kars, script, **options)))


def test_the_command_has_a_terminal_of_its_own_of_the_same_size(screen):
    terminal = screen("tty; stty size; exit 7", rows=31, columns=97)
    assert terminal.wait() == 7
    assert b"/dev/pts/" in terminal.seen
    assert b"31 97" in terminal.seen


def test_the_persons_terminal_is_raw_meanwhile_and_as_before_afterwards(screen):
    terminal = screen("echo rea''dy; read line; echo got:$line")
    terminal.read_until(rb"ready")
    assert terminal.is_raw
    terminal.type(b"words\r")
    assert terminal.wait() == 0
    assert b"got:words" in terminal.seen
    assert terminal.settings() == terminal.before


def test_a_new_size_reaches_the_command(screen):
    terminal = screen("trap 'stty size' WINCH; echo rea''dy; while :; do sleep 0.1; done")
    terminal.read_until(rb"ready")
    terminal.resize(44, 123)
    terminal.read_until(rb"44 123")


def test_control_c_interrupts_the_command_and_not_kars(screen):
    terminal = screen("trap 'echo cau''ght; exit 9' INT; echo rea''dy; while :; do sleep 0.1; done")
    terminal.read_until(rb"ready")
    terminal.type(b"\x03")
    assert terminal.wait() == 9
    assert b"caught" in terminal.seen


def test_control_d_ends_input(screen):
    terminal = screen("echo rea''dy; cat >/dev/null; echo en''ded")
    terminal.read_until(rb"ready")
    terminal.type(b"\x04")
    assert terminal.wait() == 0
    assert b"ended" in terminal.seen


def test_a_command_killed_by_a_signal_has_the_shells_code(screen):
    assert screen("kill -9 $$").wait() == 137


def test_everything_written_before_the_end_arrives(screen):
    terminal = screen("seq 1 30000")
    assert terminal.wait() == 0
    assert terminal.seen.split() == [b"%d" % number for number in range(1, 30001)]


def test_a_long_paste_to_a_busy_command_holds_up_neither_side(screen):
    """The command writes much before it reads: whoever waits for one direction before serving the other stands still."""
    terminal = screen("stty raw -echo; echo rea''dy; read -r first; seq 1 100000; head -c 300000 | wc -c; echo do''ne")
    terminal.read_until(rb"ready")
    terminal.type(b"go\n" + b"x" * 300_000)
    terminal.read_until(rb"300000\s+done")
    assert terminal.wait() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_kars_restores_the_terminal_and_ends_the_command(kars, screen, number):
    mark = f"mark-{number}"
    terminal = screen(f": {mark}; echo rea''dy; while :; do sleep 0.1; done")
    terminal.read_until(rb"ready")
    os.kill(terminal.process.pid, number)
    assert terminal.wait() == -number
    assert terminal.settings() == terminal.before
    wait_until(lambda: not processes(mark), what="the end of the command")


def test_a_killed_kars_takes_its_command_along(kars, screen):
    terminal = screen(": mark-kill; echo rea''dy; while :; do sleep 0.1; done")
    terminal.read_until(rb"ready")
    assert processes("mark-kill")
    terminal.process.kill()
    terminal.wait()
    wait_until(lambda: not processes("mark-kill"), what="the end of the command")


def test_the_persons_terminal_is_not_among_the_commands_descriptors(screen):
    terminal = screen("for f in /proc/self/fd/*; do readlink $f; done; echo do''ne")
    terminal.read_until(rb"done")
    terminal.wait()
    names = set(re.findall(rb"/dev/pts/\d+", terminal.seen))
    assert names == {b"/dev/pts/0"}, terminal.seen


def test_bytes_go_through_pipes_unchanged(kars):
    data = bytes(range(256)) * 20_000
    result = kars.internet.run(
        [KARS, "exec", "dev-agent", "--", "cat"], input=data, capture_output=True, timeout=60, env=kars.environment)
    assert result.returncode == 0, result.stderr
    assert result.stdout == data


def test_a_command_that_does_not_read_its_input_still_ends(kars):
    result = kars.internet.run(
        [KARS, "exec", "dev-agent", "--", "head", "-c", "3"], input=b"abc" * 1_000_000, capture_output=True, timeout=60,
        env=kars.environment)
    assert (result.returncode, result.stdout) == (0, b"abc")


def test_both_outputs_stay_apart(kars):
    result = kars.inside("dev-agent", "echo out; echo err >&2; exit 3")
    assert (result.returncode, result.stdout, result.stderr) == (3, "out\n", "err\n")


def test_piped_output_of_a_person_at_a_terminal_ends_with_the_command(kars):
    """`kars exec … | less`: input is a terminal, output a pipe."""
    master, slave = pty.openpty()
    try:
        result = kars.internet.run(
            [KARS, "exec", "dev-agent", "--", "sh", "-c", "cat; echo end"], stdin=slave, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, timeout=60, env=kars.environment)
    finally:
        os.close(master)
        os.close(slave)
    assert (result.returncode, result.stdout) == (0, b"end\n")


def test_an_interrupted_pipe_command_is_ended_too(kars):
    process = kars.internet.popen(
        [KARS, "exec", "dev-agent", "--", "sh", "-c", ": mark-pipe; echo ready; while :; do sleep 0.1; done"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=kars.environment)
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGINT)
    assert process.wait(DEADLINE) != 0
    process.stdout.close()
    wait_until(lambda: not processes("mark-pipe"), what="the end of the command")


def test_a_client_that_leaves_ends_a_command_that_reads_nothing(kars):
    with open("/dev/zero", "rb") as endless:
        process = kars.internet.popen(
            [KARS, "exec", "dev-agent", "--", "sh", "-c", ": mark-deaf; echo ready; while :; do sleep 0.1; done"], stdin=endless,
            stdout=subprocess.PIPE, env=kars.environment)
    assert process.stdout.readline() == b"ready\n"
    # By now more is under way than the command's pipe can hold.
    process.kill()
    process.wait(DEADLINE)
    process.stdout.close()
    wait_until(lambda: not processes("mark-deaf"), what="the end of the command")


def processes(mark):
    """Command lines of the machine's processes that hold `mark`, `kars exec` itself apart."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/cmdline", "rb") as file:
                line = file.read()
        except OSError:
            continue
        if mark.encode() in line and b"exec\0" not in line:
            found.append(line)
    return found
