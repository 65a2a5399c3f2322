/**
 * What an environment prints, as it prints it.
 */
import * as React from 'react';

import { failureOf } from './api';
import { CopyButton, Button } from './parts';
import { useServices, useShown } from './services';
import type { View } from './view';

/** Characters that are kept; a browser draws no more in reasonable time. */
const LONGEST = 400_000;

export function Logs(props: {
  readonly view: View;
  readonly name: string;
}): JSX.Element {
  const { name } = props;
  const { api, trans } = useServices();
  const [log, setLog] = React.useState('');
  const [end, setEnd] = React.useState('');
  const [round, again] = React.useReducer((count: number) => count + 1, 0);
  // A stream is one of the browser's few connections: only while somebody reads it.
  const isShown = useShown(props.view);
  const pre = React.useRef<HTMLPreElement>(null);
  const follows = React.useRef(true);
  React.useEffect(() => {
    const abort = new AbortController();
    if (isShown) {
      setLog('');
      setEnd('');
      read(api.logs(name, abort.signal), abort.signal, text =>
        setLog(before => (before + text).slice(-LONGEST))
      ).then(
        () => !abort.signal.aborted && setEnd(trans.__('It has ended.')),
        error => !abort.signal.aborted && setEnd(failureOf(error).message)
      );
    }
    return () => abort.abort();
  }, [api, isShown, name, round, trans]);
  React.useEffect(() => {
    if (follows.current) {
      pre.current?.scrollTo(0, pre.current.scrollHeight);
    }
  }, [log]);
  return (
    <div className="jp-DLEnv-main">
      <header className="jp-DLEnv-head">
        <h1 className="jp-DLEnv-clip">{trans.__('Logs of %1', name)}</h1>
        <span className="jp-DLEnv-muted" role="status">
          {end}
        </span>
        <span className="jp-DLEnv-grow" />
        {end && (
          <Button
            icon="refresh"
            label={trans.__('Read again')}
            onClick={again}
          />
        )}
        <CopyButton kind="" text={log} />
      </header>
      <section className="jp-DLEnv-drawer jp-mod-open">
        <pre
          ref={pre}
          tabIndex={0}
          data-first-focus=""
          aria-label={trans.__('Logs of %1', name)}
          onScroll={event => {
            const { scrollTop, scrollHeight, clientHeight } =
              event.currentTarget;
            follows.current = scrollTop + clientHeight >= scrollHeight - 8;
          }}
        >
          {log || (end ? '' : trans.__('Nothing has been printed yet.'))}
        </pre>
      </section>
    </div>
  );
}

async function read(
  request: Promise<Response>,
  signal: AbortSignal,
  take: (text: string) => void
): Promise<void> {
  const response = await request;
  const reader = response.body?.getReader();
  const decoder = new TextDecoder();
  while (reader && !signal.aborted) {
    const { done, value } = await reader.read();
    if (done || signal.aborted) {
      return;
    }
    take(decoder.decode(value, { stream: true }));
  }
}
