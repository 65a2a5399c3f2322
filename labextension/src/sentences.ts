/**
 * The server's sentences, put together.
 */

/**
 * Sentences one after the other: with a space between, but none after a full-width stop.
 */
export function paragraph(...sentences: readonly string[]): string {
  return sentences
    .filter(Boolean)
    .reduce(
      (text, next) =>
        /[\u3002\uff01\uff1f]$/.test(text) ? text + next : `${text} ${next}`,
      ''
    )
    .trim();
}
