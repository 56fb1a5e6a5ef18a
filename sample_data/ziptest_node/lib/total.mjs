const count = (await import("node:util")).isDeepStrictEqual([], []) ? (text) => text.length : () => 0;

export const total = (names) => names.reduce((sum, name) => sum + count(name), 0);
