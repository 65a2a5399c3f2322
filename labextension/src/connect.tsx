/**
 * How to reach an environment from elsewhere: an IDE, a terminal, a browser.
 */
import * as React from 'react';

import { failureOf, isMissingRoute } from './api';
import { EnvironmentState } from './environmentItem';
import { imageName } from './format';
import { Command, CopyButton, Mark } from './parts';
import { Ports } from './ports';
import { paragraph } from './sentences';
import { Segmented } from './segmented';
import { type IServices, useServices, useShown, useSignal } from './services';
import type { View } from './view';
import type { IFailure } from './wire';
import {
  type ICommandLine,
  type IConnection,
  type IIde,
  type Place,
  PLACES
} from './wireConnect';
import { Words } from './words';

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
              {paragraph(failure.message, failure.hint)}
            </p>
          )}
          {connection && <Ways connection={connection} />}
        </section>
        <section className="jp-DLEnv-col" aria-label={trans.__('Ports')}>
          <Ports name={name} isShown={isShown} />
          {connection && connection.tunnels.length > 0 && (
            <div className="jp-DLEnv-sect">
              <h2 className="jp-DLEnv-h2">{trans.__('Tunnels')}</h2>
              <Commands commands={connection.tunnels} />
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
  const { blocks, commands, ides } = connection;
  const places = PLACES.filter(known => blocks.has(known));
  const [wanted, setPlace] = useRemembered(`place:${api.baseUrl}`, 'laptop');
  const place = places.find(known => known === wanted) ?? places[0];
  const block = place && blocks.get(place);
  const words: Readonly<Record<Place, string>> = {
    here: trans.__('This machine'),
    laptop: trans.__('My laptop'),
    'jupyter-url': trans.__('Only this Jupyter URL'),
    windows: trans.__('Windows')
  };
  const isKnown = place === 'here' && connection.isInstalled;
  let step = 0;
  const numbered = (title: string): string => `${(step += 1)}. ${title}`;
  return (
    <>
      {connection.unavailable && (
        <p role="status">
          <Words>{connection.unavailable}</Words>
        </p>
      )}
      {places.length > 0 && (
        <div className="jp-DLEnv-sect">
          <h2 className="jp-DLEnv-h2" id="jp-DLEnv-h-where">
            {trans.__('Where are you?')}
          </h2>
          <Segmented
            labelledBy="jp-DLEnv-h-where"
            values={places}
            value={place}
            word={known => words[known]}
            onChange={setPlace}
          />
        </div>
      )}
      {block && !isKnown && (
        <div className="jp-DLEnv-sect">
          <h2 className="jp-DLEnv-h2">
            {numbered(trans.__('Once: add to ~/.ssh/config'))}
            <span className="jp-DLEnv-grow" />
            <CopyButton kind="small" text={block.text} />
          </h2>
          <div className="jp-DLEnv-code">
            <pre tabIndex={0} aria-label={trans.__('SSH configuration')}>
              <Config text={block.text} />
            </pre>
          </div>
          <p className="jp-DLEnv-muted jp-DLEnv-small">
            <Words>{block.remark}</Words>
          </p>
        </div>
      )}
      {ides.length > 0 && (
        <Ides
          title={isKnown ? trans.__('Open') : numbered(trans.__('Open'))}
          ides={ides}
          fields={connection.fields}
        />
      )}
      {commands.length > 0 && (
        <div className="jp-DLEnv-sect">
          <h2 className="jp-DLEnv-h2">{trans.__('Or a terminal')}</h2>
          <Commands commands={commands} />
        </div>
      )}
    </>
  );
}

function Commands(props: {
  readonly commands: readonly ICommandLine[];
}): JSX.Element {
  return (
    <ul className="jp-DLEnv-tunnels">
      {props.commands.map(({ command, purpose }) => (
        <li key={command}>
          <Command text={command} />
          <p className="jp-DLEnv-muted">
            <Words>{purpose}</Words>
          </p>
        </li>
      ))}
    </ul>
  );
}

function Ides(props: {
  readonly title: string;
  readonly ides: readonly IIde[];
  readonly fields: IConnection['fields'];
}): JSX.Element {
  const { api, trans } = useServices();
  const { ides, fields } = props;
  const [last, setLast] = useRemembered(`ide:${api.baseUrl}`, '');
  const chosen = ides.find(ide => ide.id === last) ?? ides[0];
  return (
    <div className="jp-DLEnv-sect">
      <h2 className="jp-DLEnv-h2">{props.title}</h2>
      <div className="jp-DLEnv-ides">
        {ides.map(ide => {
          const look = `jp-DLEnv-btn${ide === chosen ? ' jp-mod-accept' : ''}`;
          return ide.url ? (
            <a
              key={ide.id}
              className={look}
              href={ide.url}
              title={ide.remark}
              onClick={() => setLast(ide.id)}
            >
              <span className="jp-DLEnv-clip">{ide.name}</span>
            </a>
          ) : (
            <button
              key={ide.id}
              type="button"
              className={look}
              title={ide.remark}
              onClick={() => setLast(ide.id)}
            >
              <span className="jp-DLEnv-clip">{ide.name}</span>
            </button>
          );
        })}
      </div>
      {chosen?.remark && (
        <p className="jp-DLEnv-muted jp-DLEnv-small">
          <Words>{chosen.remark}</Words>
        </p>
      )}
      {chosen && !chosen.url && fields.length > 0 && (
        <dl className="jp-DLEnv-fields">
          {fields
            .filter(([, value]) => value !== '' && value !== '0')
            .map(([name, value]) => (
              <div key={name}>
                <dt>{fieldWord(name, trans)}</dt>
                <dd>
                  <Command text={value} />
                </dd>
              </div>
            ))}
        </dl>
      )}
    </div>
  );
}

function fieldWord(name: string, trans: IServices['trans']): string {
  switch (name) {
    case 'host':
      return trans.__('Host');
    case 'port':
      return trans.__('Port');
    case 'user':
      return trans.__('User');
    case 'key_file':
      return trans.__('Private key');
    case 'interpreter':
      return trans.__('Interpreter');
    case 'host_key':
      return trans.__('Key of the host');
    case 'fingerprint':
      return trans.__('Fingerprint');
    default:
      return name;
  }
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
            // A long one ends in dots; the button copies all of it.
            <span key={index} className="jp-DLEnv-clip" title={line.trim()}>
              {indent}
              {keyword.startsWith('#') ? keyword : <b>{keyword}</b>}
              {rest}
              {'\n'}
            </span>
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
