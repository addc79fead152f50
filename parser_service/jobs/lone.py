"""Decide when a job that must run alone may run.

A job whose last parser died runs alone, so that a page that kills parsers takes no other job
with it. While other jobs run, it goes back to the head of its list and no new job starts: a
parser that dies meanwhile must not count as the death of a job that it only kept.
"""

from collections import deque

from parser_service.jobs.runnable import RunnableJob


class LoneJobs:
    """Keep track of the lone job that runs and of those that must wait.

    Attributes:
        to_hand_back: lone jobs that may not run yet; the last goes back to its list first, so
            that they keep their order there.
    """

    def __init__(self) -> None:
        self.to_hand_back: deque[RunnableJob] = deque()
        self._is_running_alone = False
        self._list_with_lone_job: str | None = None
        """The list that has a lone job at its head: nothing starts until the others have ended,
        and then that list is the next to be looked in."""

    def may_take_jobs(self, *, are_others_running: bool) -> bool:
        """Return whether any job may be taken now."""
        if self._is_running_alone:
            return False
        return not (self._list_with_lone_job and are_others_running)

    def pop_list_with_lone_job(self) -> str | None:
        """Return the list that has a lone job at its head, once; None without one."""
        found, self._list_with_lone_job = self._list_with_lone_job, None
        return found

    def admit_or_defer(self, runnable: RunnableJob, *, are_others_running: bool) -> bool:
        """Return whether a lone job may start now; from then on it counts as running alone.

        One that may not is kept for being handed back.
        """
        if are_others_running:
            self.to_hand_back.append(runnable)
            self._list_with_lone_job = runnable.taken.list
            return False
        self._is_running_alone = True
        return True

    def note_job_end(self, runnable: RunnableJob) -> None:
        """Note that a job has ended; after a lone one, look for more: they often come together."""
        if self._is_running_alone:
            self._is_running_alone = False
            self._list_with_lone_job = runnable.taken.list
