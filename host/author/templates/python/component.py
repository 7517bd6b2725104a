"""Connects detect.py to the interface in wit/detect.wit. The build generates the modules that start with wit_."""

import detect as plugin
from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.detector import Descriptor, Detection, Outcome_Found, Outcome_Ignored, Outcome_NotMine


class Detector(exports.Detector):
    def describe(self):
        return Descriptor(
            name=plugin.NAME,
            version=plugin.VERSION,
            summary=plugin.SUMMARY,
            headers=[],
            pointers=[plugin.POINTER],
            attributes=[],
        )

    def detect(self, req):
        try:
            outcome = plugin.detect(req)
        except plugin.Malformed as malformed:
            raise Err(str(malformed))
        if isinstance(outcome, plugin.NotMine):
            return Outcome_NotMine()
        if isinstance(outcome, plugin.Ignored):
            return Outcome_Ignored(outcome.reason)
        detection = Detection(
            git_ref=outcome.git_ref,
            commit=outcome.commit,
            repositories=outcome.repositories,
            occurred_at=None,
            delivery_id=None,
            # What happened, if an object selects by it: [("event", "released")].
            attributes=[],
        )
        return Outcome_Found([detection])
