/**
 * In a sidebar: what keeps environments from working, and the way out of it.
 */
import * as React from 'react';

import { Advice } from './advice';
import { COMMANDS } from './commandIds';
import { Button, Icon, State } from './parts';
import { useServices, useSignal } from './services';
import type { IFailure } from './wire';
import { Words } from './words';

export function Obstacle(props: {
  readonly failure: IFailure;
  readonly onRetry: () => void;
  readonly onAll: () => void;
}): JSX.Element {
  const { failure } = props;
  const { engines, trans, run } = useServices();
  const isOther = useSignal(engines.changed, () => engines.offers.length > 1);
  return (
    <div className="jp-DLEnv-empty" role="alert">
      <State icon="error" tone="bad">
        {trans.__('No engine')}
      </State>
      <h3>
        <Words>{failure.message}</Words>
      </h3>
      {failure.hint && <Advice wraps>{failure.hint}</Advice>}
      <div className="jp-DLEnv-row">
        <Button
          kind="accept"
          icon="refresh"
          label={trans.__('Check again')}
          onClick={props.onRetry}
        />
        <Button label={trans.__('All checks')} onClick={props.onAll} />
        {isOther && (
          <Button
            label={trans.__('Use another engine…')}
            onClick={() => run(COMMANDS.engine)}
          />
        )}
      </div>
      {failure.detail && (
        <details className="jp-DLEnv-raw">
          <summary>
            <Icon name="right" size={14} />
            {trans.__('What the engine said')}
          </summary>
          <pre tabIndex={0}>{failure.detail}</pre>
        </details>
      )}
    </div>
  );
}
