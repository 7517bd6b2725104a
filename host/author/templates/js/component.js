// Connects detect.js to the interface in wit/detect.wit.

import { NAME, POINTER, SUMMARY, VERSION, detect } from "./detect.js";

export const detector = {
  describe() {
    return { name: NAME, version: VERSION, summary: SUMMARY, headers: [], pointers: [POINTER], attributes: [] };
  },

  detect,
};
