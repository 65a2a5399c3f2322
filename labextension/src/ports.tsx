/**
 * The ports of an environment: those in use, those that were found, and the way to more.
 */
import * as React from 'react';

import { failureOf, isMissingRoute } from './api';
import { Button, CopyButton, Icon, State } from './parts';
import { paragraph } from './sentences';
import { useServices, useSignal } from './services';
import type { IFailure } from './wire';
import type { IPort } from './wireConnect';

/** Milliseconds between two looks for new ports, while somebody looks. */
const INTERVAL = 3_000;
const SSH = 22;

export function Ports(props: {
  readonly name: string;
  readonly isShown: boolean;
}): JSX.Element {
  const { name, isShown } = props;
  const { api, environments, trans } = useServices();
  const [ports, setPorts] = React.useState<readonly IPort[] | null>(null);
  const [failure, setFailure] = React.useState<IFailure | null>(null);
  const [isMissing, setMissing] = React.useState(false);
  const [said, setSaid] = React.useState('');
  const [round, refresh] = React.useReducer((count: number) => count + 1, 0);
  const environment = useSignal(environments.changed, () =>
    environments.environments.find(item => item.name === name)
  );
  React.useEffect(() => {
    let isGone = false;
    const look = (): void => {
      if (document.visibilityState !== 'visible') {
        return;
      }
      api.ports(name).then(
        found => !isGone && setPorts(found),
        error => !isGone && setMissing(isMissingRoute(error))
      );
    };
    if (!isShown || isMissing) {
      return;
    }
    look();
    const timer = window.setInterval(look, INTERVAL);
    return () => {
      isGone = true;
      window.clearInterval(timer);
    };
  }, [api, isMissing, isShown, name, round]);

  const act = async (work: Promise<void>, words: string): Promise<boolean> => {
    setFailure(null);
    try {
      await work;
    } catch (error) {
      setFailure(failureOf(error));
      return false;
    }
    setSaid(words);
    refresh();
    return true;
  };
  const add = (port: number, local: number): Promise<boolean> =>
    act(
      api.addForward(name, port, local),
      trans.__('Port %1 is forwarded.', port)
    );
  const rows = ports ?? publishedOnly(environment?.ports ?? []);
  return (
    <div className="jp-DLEnv-sect">
      <h2 className="jp-DLEnv-h2">{trans.__('Ports')}</h2>
      <p className="jp-DLEnv-vh" role="status">
        {said}
      </p>
      {rows.length === 0 ? (
        <p className="jp-DLEnv-muted">
          {trans.__('Nothing listens inside, and no port is published.')}
        </p>
      ) : (
        <table className="jp-DLEnv-table">
          <colgroup>
            <col style={{ width: '25%' }} />
            <col />
            <col style={{ width: '50px' }} />
            <col style={{ width: '54px' }} />
            <col style={{ width: '142px' }} />
          </colgroup>
          <thead>
            <tr>
              <th>{trans.__('Service')}</th>
              <th>{trans.__('State')}</th>
              <th className="jp-DLEnv-num">{trans.__('Inside')}</th>
              <th className="jp-DLEnv-num">{trans.__('Host')}</th>
              <th>
                <span className="jp-DLEnv-vh">{trans.__('Actions')}</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {[...rows].sort(byUse).map(port => (
              <Row
                key={port.port}
                name={name}
                port={port}
                onAdd={() => void add(port.port, 0)}
                onRemove={local =>
                  void act(
                    api.removeForward(name, local),
                    trans.__('Port %1 is not forwarded any more.', port.port)
                  )
                }
              />
            ))}
          </tbody>
        </table>
      )}
      {!isMissing && ports && <AddPort onAdd={add} />}
      {failure && (
        <p className="jp-DLEnv-error" role="alert">
          <Icon name="error" size={14} />
          <span>{paragraph(failure.message, failure.hint)}</span>
        </p>
      )}
    </div>
  );
}

function Row(props: {
  readonly name: string;
  readonly port: IPort;
  readonly onAdd: () => void;
  readonly onRemove: (local: number) => void;
}): JSX.Element {
  const { name, port } = props;
  const { api, trans } = useServices();
  const [forward] = port.forwarded;
  const [address] = port.published;
  const isUsed = forward !== undefined || address !== undefined;
  const service =
    port.service || (port.port === SSH ? 'SSH' : port.process) || '–';
  return (
    <tr>
      <td className="jp-DLEnv-clip" title={service}>
        {service}
      </td>
      <td className="jp-DLEnv-clip">
        <State
          icon={isUsed ? 'done' : 'info'}
          tone={isUsed && port.isListening !== false ? 'ok' : ''}
        >
          {address !== undefined
            ? trans.__('Published')
            : forward !== undefined
              ? trans.__('Forwarded')
              : trans.__('Found')}
        </State>
      </td>
      <td className="jp-DLEnv-num">{port.port}</td>
      <td className="jp-DLEnv-num">
        {forward ?? address?.split(':').pop() ?? ''}
      </td>
      <td className="jp-DLEnv-num">
        <span className="jp-DLEnv-rowacts">
          {port.isWeb && (
            <a
              className="jp-DLEnv-btn jp-mod-small jp-mod-plain"
              href={api.proxyUrl(name, port.port)}
              target="_blank"
              rel="noreferrer"
              aria-label={trans.__('Open port %1', port.port)}
            >
              <Icon name="open" size={14} />
              <span>{trans.__('Open')}</span>
            </a>
          )}
          {!port.isWeb && isUsed && (
            <CopyButton
              text={address ?? `127.0.0.1:${forward}`}
              label={trans.__('Copy address of port %1', port.port)}
            />
          )}
          {!isUsed && (
            <Button
              kind="small"
              icon="add"
              label={trans.__('Add')}
              title={trans.__('Forward port %1', port.port)}
              onClick={props.onAdd}
            />
          )}
          {forward !== undefined && (
            <Button
              kind="icon"
              icon="close"
              label={trans.__('Remove the forward of port %1', port.port)}
              onClick={() => props.onRemove(forward)}
            />
          )}
        </span>
      </td>
    </tr>
  );
}

function AddPort(props: {
  readonly onAdd: (port: number, local: number) => Promise<boolean>;
}): JSX.Element {
  const { trans } = useServices();
  const [inside, setInside] = React.useState('');
  const [host, setHost] = React.useState('');
  const isNumber = (text: string): boolean => /^\d{1,5}$/.test(text.trim());
  const isValid = isNumber(inside) && (host === '' || isNumber(host));
  return (
    <form
      className="jp-DLEnv-addport"
      onSubmit={event => {
        event.preventDefault();
        if (isValid) {
          void props.onAdd(Number(inside), Number(host)).then(isAdded => {
            if (isAdded) {
              setInside('');
              setHost('');
            }
          });
        }
      }}
    >
      <label className="jp-DLEnv-field">
        <span>{trans.__('Port inside')}</span>
        <input
          className="jp-DLEnv-input"
          inputMode="numeric"
          placeholder="8000"
          value={inside}
          onChange={event => setInside(event.target.value)}
        />
      </label>
      <label className="jp-DLEnv-field">
        <span>{trans.__('Port of the host')}</span>
        <input
          className="jp-DLEnv-input"
          inputMode="numeric"
          placeholder={trans.__('same')}
          value={host}
          onChange={event => setHost(event.target.value)}
        />
      </label>
      <div>
        <button type="submit" className="jp-DLEnv-btn" disabled={!isValid}>
          <Icon name="add" size={14} />
          <span>{trans.__('Add port')}</span>
        </button>
      </div>
    </form>
  );
}

/** Those in use first, then those found. */
function byUse(a: IPort, b: IPort): number {
  const rank = (port: IPort): number =>
    port.published.length > 0 ? 0 : port.forwarded.length > 0 ? 1 : 2;
  return rank(a) - rank(b) || a.port - b.port;
}

/** What is known of ports where the server cannot look inside. */
function publishedOnly(ports: readonly string[]): readonly IPort[] {
  return ports.map(port => {
    const parts = port.split(':');
    return {
      port: Number(parts.pop()),
      isListening: null,
      process: '',
      service: '',
      isWeb: false,
      published: [parts.join(':')],
      forwarded: []
    };
  });
}
