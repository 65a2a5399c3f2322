/**
 * The layers of a pull: those that move, and sums of the rest.
 */
import * as React from 'react';

import { gigabytes, ratio } from './format';
import { Meter, State, type Tone } from './parts';
import type { StrokeName } from './icons';
import { type IServices, useServices } from './services';
import { arrange } from './layerSums';
import type { ILayer, LayerState } from './wireJobs';

export function Layers(props: {
  readonly layers: readonly ILayer[];
}): JSX.Element {
  const { trans } = useServices();
  const { moving, sums } = arrange(props.layers);
  return (
    <section>
      <h2 className="jp-DLEnv-h2">
        {trans.__('Layers')} <small>{props.layers.length}</small>
      </h2>
      <table className="jp-DLEnv-table">
        <colgroup>
          <col style={{ width: '30%' }} />
          <col style={{ width: '128px' }} />
          <col />
          <col style={{ width: '84px' }} />
          <col style={{ width: '84px' }} />
        </colgroup>
        <thead>
          <tr>
            <th>{trans.__('Layer')}</th>
            <th>{trans.__('State')}</th>
            <th>
              <span className="jp-DLEnv-vh">{trans.__('Progress')}</span>
            </th>
            <th className="jp-DLEnv-num">{trans.__('Done')}</th>
            <th className="jp-DLEnv-num">{trans.__('Size')}</th>
          </tr>
        </thead>
        <tbody>
          {moving.map(layer => (
            <tr key={layer.id}>
              <td>
                <code>{layer.id}</code>
              </td>
              <td>
                <LayerWord state={layer.state} />
              </td>
              <td>
                <Meter
                  label={layer.id}
                  role="progressbar"
                  value={ratio(layer.current, layer.total)}
                  mine
                />
              </td>
              <td className="jp-DLEnv-num">{gigabytes(layer.current, 2)}</td>
              <td className="jp-DLEnv-num">{gigabytes(layer.total, 2)}</td>
            </tr>
          ))}
          {sums.map(sum => (
            <tr key={sum.state} className="jp-mod-sum">
              <td>{trans._n('%1 layer', '%1 layers', sum.count)}</td>
              <td>
                <LayerWord state={sum.state} />
              </td>
              <td />
              <td className="jp-DLEnv-num">
                {sum.total > 0 && sum.state !== 'here'
                  ? gigabytes(sum.state === 'done' ? sum.total : sum.current, 2)
                  : ''}
              </td>
              <td className="jp-DLEnv-num">
                {sum.total > 0 ? gigabytes(sum.total, 2) : ''}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function LayerWord(props: { readonly state: LayerState }): JSX.Element {
  const { trans } = useServices();
  const { icon, tone, word } = look(props.state, trans);
  return (
    <State icon={icon} tone={tone}>
      {word}
    </State>
  );
}

function look(
  state: LayerState,
  trans: IServices['trans']
): { icon: StrokeName; tone: Tone; word: string } {
  switch (state) {
    case 'downloading':
      return { icon: 'download', tone: '', word: trans.__('Downloading') };
    case 'unpacking':
      return { icon: 'unpack', tone: '', word: trans.__('Unpacking') };
    case 'done':
      return { icon: 'done', tone: 'ok', word: trans.__('Done') };
    case 'here':
      return { icon: 'check', tone: 'ok', word: trans.__('Already here') };
    case 'waiting':
      return { icon: 'waiting', tone: '', word: trans.__('Waiting') };
  }
}
