/**
 * What fields show of what may be typed into them, which is the same in every language.
 */
export const EXAMPLES = {
  directory: '/data',
  image: 'registry.example.com/team/bert:1',
  memory: '8g',
  value: 'offline',
  variable: 'WANDB_MODE'
} as const;

/** Of an account, not a word. */
export const ROOT = 'root';
