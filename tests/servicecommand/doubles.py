"""A runner that keeps what it is asked, and answers as it is told."""

from __future__ import annotations

from sftpgo.servicecommand.model import Call, Done, Run


class Recorder:
    """Stands for the system's own programs.

    @ivar done: what was run or called, in order.
    @ivar answers: by the beginning of a program's line or of a function's name; else it went well.
    """

    def __init__(self, **answers: Done) -> None:
        self.done: list[tuple[object, ...]] = []
        self.answers = {key.replace("_", " "): answer for key, answer in answers.items()}

    def run(self, step: Run) -> Done:
        self.done.append(step.words)
        return self._answer(" ".join(step.words))

    def call(self, step: Call) -> Done:
        self.done.append((step.function, *step.arguments))
        return self._answer(step.function.rpartition(".")[2])

    def _answer(self, line: str) -> Done:
        return next((answer for key, answer in self.answers.items() if line.startswith(key)), Done())
