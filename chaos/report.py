"""What a run came to, for people, and as one line of JSON for programs."""

import json
from collections import Counter
from dataclasses import dataclass, field

from chaos.books import read
from chaos.checker import Finding
from chaos.house import House
from chaos.ledger import Ledger
from chaos.takeover import percentile, takeovers

WRONGS = ("lost", "doubled", "different", "stuck")
TOLD = 12  # of each kind


@dataclass
class Report:
    """Gathered while jobs are verified."""

    findings: list[Finding] = field(default_factory=list)
    handed_back: list[float] = field(default_factory=list)
    taken_over: list[float] = field(default_factory=list)
    ends: Counter[str] = field(default_factory=Counter)
    attempts: int = 0
    fewest_alive: int = 1_000_000
    faults_s: float = 0.0  # from the first fault to the last

    def time(self, house: House, ledger: Ledger, job_id: str) -> None:
        """Note how a verified job ended and how fast it was taken over."""
        books = read(house.database, job_id)
        if books is None:
            return
        self.ends[books.job.status] += 1
        self.attempts += books.job.attempt
        for back, start in takeovers(books, [loss for loss in ledger.losses if loss.job == job_id]):
            self.handed_back.append(back)
            self.taken_over.append(start)

    def holds(self, ledger: Ledger) -> bool:
        """Whether nothing at all went wrong."""
        return not self.findings and not ledger.errors

    def tell(self, house: House, ledger: Ledger, counts: Counter[str]) -> None:
        """Everything but the last line."""
        for name, count in sorted(counts.items()):
            print(f"{count:5} {name}")
        print(f"a fault every {self.faults_s / max(1, counts.total()):.2f} s on average")
        print(
            f"jobs: {dict(self.ends)}, {self.attempts} attempts; alive at least {self.fewest_alive}; "
            f"answers: {dict(sorted(ledger.answers.items()))}"
        )
        for what, values in (("handed back", self.handed_back), ("started again, behind others", self.taken_over)):
            print(
                f"{what} {len(values)} times: median {percentile(values, 0.5):.2f} s, "
                f"p99 {percentile(values, 0.99):.2f} s after the loss"
            )
        for part in house.parts:
            if part.disobeyed or part.unasked:
                print(f"{part.name}: {part.disobeyed} times it did not obey, {part.unasked} times it ended by itself")
        for text in ledger.errors[:TOLD]:
            print(f"server error: {text}")
        for wrong in WRONGS:
            for finding in [each for each in self.findings if each.wrong == wrong][:TOLD]:
                books = read(house.database, finding.job)
                print(f"{wrong}: {finding.job} {finding.text}\n{books.told if books else ''}")
        if not self.holds(ledger) or any(part.disobeyed for part in house.parts):
            print(f"kept for a look: {house.folder} (logs, blobs{', database' if house.kind == 'sqlite' else ''})")

    def line(self, ledger: Ledger, faults: int) -> str:
        """The last line."""
        wrongs = {wrong: len({finding.job for finding in self.findings if finding.wrong == wrong}) for wrong in WRONGS}
        return json.dumps(
            {
                "faults": faults,
                "jobs": len(ledger.deleted) + len(ledger.jobs),
                **wrongs,
                "server_errors": len(ledger.errors),
                "takeover_p99_s": round(percentile(self.taken_over, 0.99), 2),
            }
        )
