/**
 * Words of command lines.
 */

/**
 * A word as a POSIX shell, and the magic's own parser, read it back unchanged.
 */
export function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word)
    ? word
    : `'${word.replace(/'/g, `'\\''`)}'`;
}
