/**
 * The engine in use by name, and the choice of another one.
 */
import * as React from 'react';

import { failureOf } from './api';
import { COMMANDS } from './commandIds';
import { Button, Icon } from './parts';
import { type IServices, useServices, useSignal } from './services';
import type { IFailure } from './wire';
import type { IEngineOffer } from './wireEngines';

export function EngineSelect(props: {
  /** Of the sentences below it, on this page. */
  readonly id: string;
}): JSX.Element | null {
  const { engines, trans } = useServices();
  const offers = useSignal(engines.changed, () => engines.offers);
  const inUse = useSignal(engines.changed, () => engines.inUse);
  const isSwitching = useSignal(engines.changed, () => engines.isSwitching);
  const [failure, setFailure] = React.useState<IFailure | null>(null);
  if (!inUse) {
    return null;
  }
  const others = offers.filter(offer => offer !== inUse);
  const choose = (name: string): void => {
    setFailure(null);
    engines.use(name).catch(error => setFailure(failureOf(error)));
  };
  return (
    <>
      <select
        className="jp-DLEnv-input"
        aria-label={trans.__('Engine')}
        aria-describedby={props.id}
        aria-invalid={failure !== null}
        aria-busy={isSwitching}
        // What is disabled loses the focus, so not while it switches.
        disabled={others.length === 0}
        value={inUse.name}
        onChange={event => choose(event.target.value)}
      >
        {offers.map(offer => (
          <option key={offer.name} value={offer.name}>
            {engineWords(offer, engines.isUsual(offer), trans)}
          </option>
        ))}
      </select>
      <div className="jp-DLEnv-note" id={props.id}>
        {failure ? (
          <p className="jp-DLEnv-error" role="alert">
            <Icon name="error" size={14} />
            <span>
              {[failure.message, failure.hint].filter(Boolean).join(' ')}
            </span>
          </p>
        ) : (
          <p className="jp-DLEnv-muted" role="status">
            {isSwitching
              ? trans.__('Asking the engine')
              : others.length === 0
                ? trans.__('No other engine may be used here.')
                : trans.__(
                    'All views show this engine. Environments on others run on.'
                  )}
          </p>
        )}
      </div>
    </>
  );
}

/**
 * In the sidebar: which engine it shows, where that is not the usual one.
 */
export function EngineLine(): JSX.Element | null {
  const { engines, trans, run } = useServices();
  const inUse = useSignal(engines.changed, () => engines.inUse);
  const option = useSignal(engines.changed, () => engines.option);
  if (!inUse || !option) {
    return null;
  }
  return (
    <div className="jp-DLEnv-engine">
      <span className="jp-DLEnv-muted">{trans.__('Engine')}</span>
      <span className="jp-DLEnv-clip" title={inUse.address}>
        {engineName(inUse, trans)}
      </span>
      <Button
        kind="small"
        label={trans.__('Change')}
        title={trans.__('Use another engine…')}
        onClick={() => run(COMMANDS.engine)}
      />
    </div>
  );
}

export function engineName(
  offer: IEngineOffer,
  trans: IServices['trans']
): string {
  if (offer.address && offer.name !== 'docker') {
    return offer.name;
  }
  return offer.kind === 'process'
    ? trans.__('Processes, no containers')
    : 'Docker';
}

export function engineWords(
  offer: IEngineOffer,
  isUsual: boolean,
  trans: IServices['trans']
): string {
  const { name, address } = offer;
  const shown = engineName(offer, trans);
  const words =
    address && address !== name ? [shown, address].join(' · ') : shown;
  return isUsual ? trans.__('%1 (default)', words) : words;
}
