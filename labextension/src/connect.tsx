/**
 * How to reach an environment from elsewhere: an IDE, a terminal, a browser.
 */
import * as React from 'react';

import { failureOf, isMissingRoute } from './api';
import { EnvironmentState } from './environmentItem';
import { imageName } from './format';
import { Command, CopyButton, Mark } from './parts';
import { Ports } from './ports';
import { rove } from './roving';
import { useServices, useShown, useSignal } from './services';
import type { View } from './view';
import type { IFailure } from './wire';
import {
  type IConnection,
  type IIde,
  type IWay,
  type Place,
  PLACES
} from './wireConnect';

export function Connect(props: {
  readonly view: View;
  readonly name: string;
}): JSX.Element {
  const { name, view } = props;
  const { api, environments, trans } = useServices();
  const environment = useSignal(environments.changed, () =>
    environments.environments.find(item => item.name === name)
  );
  const isShown = useShown(view);
  const [connection, setConnection] = React.useState<IConnection | null>(null);
  const [failure, setFailure] = React.useState<IFailure | null>(null);
  const started = environment?.started ?? '';
  React.useEffect(() => {
    let isGone = false;
    if (isShown) {
      api.connection(name).then(
        sheet => {
          if (!isGone) {
            setConnection(sheet);
            setFailure(null);
          }
        },
        error => {
          if (!isGone) {
            setFailure({
              ...failureOf(error),
              ...(isMissingRoute(error)
                ? {
                    message: trans.__(
                      'This server does not offer SSH to environments yet.'
                    ),
                    hint: ''
                  }
                : {})
            });
          }
        }
      );
    }
    return () => {
      isGone = true;
    };
    // A restart may change ports.
  }, [api, isShown, name, started, trans]);
  return (
    <div className="jp-DLEnv-main">
      <header className="jp-DLEnv-head">
        <Mark mark={imageName(environment?.image ?? '').mark} />
        <h1 className="jp-DLEnv-clip">{trans.__('Connect to %1', name)}</h1>
        {environment && <EnvironmentState environment={environment} />}
      </header>
      <div className="jp-DLEnv-connect">
        <section className="jp-DLEnv-col" aria-label={trans.__('Reach it')}>
          {failure && (
            <p className="jp-DLEnv-muted" role="status">
              {failure.message} {failure.hint}
            </p>
          )}
          {connection && <Ways connection={connection} />}
        </section>
        <section className="jp-DLEnv-col" aria-label={trans.__('Ports')}>
          <Ports name={name} isShown={isShown} />
          {connection && connection.tunnels.length > 0 && (
            <div className="jp-DLEnv-sect">
              <h2 className="jp-DLEnv-h2">{trans.__('Tunnels')}</h2>
              <ul className="jp-DLEnv-tunnels">
                {connection.tunnels.map(tunnel => (
                  <li key={tunnel.command}>
                    <Command text={tunnel.command} />
                    <p className="jp-DLEnv-muted">{tunnel.explanation}</p>
                  </li>
                ))}
              </ul>
            </div>
          )}
        </section>
      </div>
    </div>
  );
}

function Ways(props: { readonly connection: IConnection }): JSX.Element {
  const { connection } = props;
  const { api, trans } = useServices();
  const places = PLACES.filter(place => connection.ways.has(place));
  const [place, setPlace] = useRemembered(`place:${api.baseUrl}`, 'laptop');
  const chosen = places.find(known => known === place) ?? places[0];
  const way = chosen && connection.ways.get(chosen);
  const words: Readonly<Record<Place, string>> = {
    here: trans.__('This machine'),
    laptop: trans.__('My laptop'),
    'jupyter-url': trans.__('Only this Jupyter URL')
  };
  return (
    <>
      <div className="jp-DLEnv-sect">
        <h2 className="jp-DLEnv-h2" id="jp-DLEnv-h-where">
          {trans.__('Where are you?')}
        </h2>
        <div
          className="jp-DLEnv-seg"
          role="radiogroup"
          aria-labelledby="jp-DLEnv-h-where"
          onKeyDown={event => rove(event, '[role=radio]')?.click()}
        >
          {places.map(known => (
            <button
              key={known}
              type="button"
              role="radio"
              aria-checked={known === chosen}
              tabIndex={known === chosen ? 0 : -1}
              onClick={() => setPlace(known)}
            >
              {words[known]}
            </button>
          ))}
        </div>
        {way?.explanation && (
          <p className="jp-DLEnv-muted">{way.explanation}</p>
        )}
      </div>
      {way && <Steps way={way} ides={connection.ides} />}
    </>
  );
}

function Steps(props: {
  readonly way: IWay;
  readonly ides: readonly IIde[];
}): JSX.Element {
  const { way, ides } = props;
  const { trans } = useServices();
  let step = 0;
  const numbered = (title: string): string => `${(step += 1)}. ${title}`;
  return (
    <>
      {way.setup.length > 0 && (
        <div className="jp-DLEnv-sect">
          <h2 className="jp-DLEnv-h2">{numbered(trans.__('Once: run'))}</h2>
          {way.setup.map(command => (
            <Command key={command} text={command} />
          ))}
        </div>
      )}
      {way.config && (
        <div className="jp-DLEnv-sect">
          <h2 className="jp-DLEnv-h2">
            {numbered(trans.__('Once: add to ~/.ssh/config'))}
            <span className="jp-DLEnv-grow" />
            <CopyButton kind="small" text={way.config} />
          </h2>
          <div className="jp-DLEnv-code">
            <pre tabIndex={0} aria-label="~/.ssh/config">
              <Config text={way.config} />
            </pre>
          </div>
          {way.note && (
            <p className="jp-DLEnv-muted jp-DLEnv-small">{way.note}</p>
          )}
        </div>
      )}
      {ides.length > 0 && (
        <Ides title={numbered(trans.__('Open'))} ides={ides} />
      )}
      {way.command && (
        <div className="jp-DLEnv-sect">
          <h2 className="jp-DLEnv-h2">{trans.__('Or a terminal')}</h2>
          <Command text={way.command} />
        </div>
      )}
    </>
  );
}

function Ides(props: {
  readonly title: string;
  readonly ides: readonly IIde[];
}): JSX.Element {
  const { api } = useServices();
  const { ides } = props;
  const [last, setLast] = useRemembered(`ide:${api.baseUrl}`, '');
  const first = ides.find(ide => ide.id === last) ?? ides[0];
  return (
    <div className="jp-DLEnv-sect">
      <h2 className="jp-DLEnv-h2">{props.title}</h2>
      <div className="jp-DLEnv-ides">
        {ides.map(ide => (
          <a
            key={ide.id}
            className={`jp-DLEnv-btn${ide === first ? ' jp-mod-accept' : ''}`}
            href={ide.url}
            title={ide.note}
            onClick={() => setLast(ide.id)}
          >
            {ide.title}
          </a>
        ))}
      </div>
      {first?.note && (
        <p className="jp-DLEnv-muted jp-DLEnv-small">{first.note}</p>
      )}
    </div>
  );
}

/** Of an ssh configuration, the keywords stand out. */
function Config(props: { readonly text: string }): JSX.Element {
  return (
    <>
      {props.text
        .trimEnd()
        .split('\n')
        .map((line, index) => {
          const [, indent = '', keyword = '', rest = ''] =
            /^(\s*)(\S*)(.*)$/.exec(line) ?? [];
          return (
            <React.Fragment key={index}>
              {indent}
              {keyword.startsWith('#') ? keyword : <b>{keyword}</b>}
              {rest}
              {'\n'}
            </React.Fragment>
          );
        })}
    </>
  );
}

/**
 * A choice that this browser keeps, if it keeps anything.
 */
function useRemembered(
  what: string,
  otherwise: string
): [string, (value: string) => void] {
  const key = `jupyter-dlenv:${what}`;
  const [value, setValue] = React.useState(() => {
    try {
      return localStorage.getItem(key) ?? otherwise;
    } catch {
      return otherwise;
    }
  });
  return [
    value,
    next => {
      setValue(next);
      try {
        localStorage.setItem(key, next);
      } catch {
        // Then it is forgotten.
      }
    }
  ];
}
