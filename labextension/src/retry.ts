/**
 * Tries again what a network breaks off that has only changed.
 *
 * Chrome does so with all that is under way whenever the machine has a new address, as it has
 * a second after each start of a container.
 */

/** In milliseconds; together shorter than a look at an error takes. */
const PAUSES: readonly number[] = [100, 300, 900];

/**
 * @param attempt - What may safely happen twice.
 * @param isPassing - Whether an error may be gone the next time; all may, by default.
 */
export async function retried<T>(
  attempt: () => Promise<T>,
  isPassing: (error: unknown) => boolean = () => true
): Promise<T> {
  for (const pause of PAUSES) {
    try {
      return await attempt();
    } catch (error) {
      if (!isPassing(error)) {
        throw error;
      }
    }
    await new Promise(resolve => setTimeout(resolve, pause));
  }
  return await attempt();
}
