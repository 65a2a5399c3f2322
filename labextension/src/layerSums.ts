/**
 * The layers of a pull in as few lines as somebody can read.
 */
import type { ILayer, LayerState } from './wireJobs';

const MOST_MOVING = 5;

export interface ILayerSum {
  readonly state: LayerState;
  readonly count: number;
  readonly current: number;
  readonly total: number;
}

/**
 * The largest layers that move, and one sum for each state of all others.
 */
export function arrange(layers: readonly ILayer[]): {
  readonly moving: readonly ILayer[];
  readonly sums: readonly ILayerSum[];
} {
  const moving = layers
    .filter(({ state }) => state === 'downloading' || state === 'unpacking')
    .sort((a, b) => b.total - a.total)
    .slice(0, MOST_MOVING);
  const rest = layers.filter(layer => !moving.includes(layer));
  const states: readonly LayerState[] = ['done', 'waiting', 'here'];
  const sums = states.flatMap(state => {
    const members = rest.filter(layer => sumState(layer.state) === state);
    return members.length === 0
      ? []
      : [
          {
            state,
            count: members.length,
            current: members.reduce((sum, layer) => sum + layer.current, 0),
            total: members.reduce((sum, layer) => sum + layer.total, 0)
          }
        ];
  });
  return { moving, sums };
}

/** Beyond the few that are shown, what moves waits, as far as anybody can see. */
function sumState(state: LayerState): LayerState {
  return state === 'done' || state === 'here' ? state : 'waiting';
}
