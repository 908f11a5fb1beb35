// The windows a page can be asked for.

export const UNSET_WINDOW = "7d";
export const WINDOWS = [
  ["1d", "1 day"],
  ["7d", "7 days"],
  ["30d", "30 days"],
  ["90d", "90 days"],
  ["all", "All"],
];
