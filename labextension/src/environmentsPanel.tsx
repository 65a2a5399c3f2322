/**
 * The sidebar: the GPUs of the machine, and every environment with what can be done to it.
 */
import * as React from 'react';

import { COMMANDS } from './commandIds';
import { EngineLine } from './engineSelect';
import { EnvironmentItem } from './environmentItem';
import { HostStrip } from './hostStrip';
import { LaunchItem } from './launchItem';
import { Obstacle } from './obstacle';
import { Button } from './parts';
import { rove } from './roving';
import { merge } from './rows';
import { useServices, useShown, useSignal } from './services';
import type { View } from './view';

/** From this number on, a list is worth a filter. */
const MANY = 6;

export function EnvironmentsPanel(props: { readonly view: View }): JSX.Element {
  const { environments, jobs, gpus, trans, run, current } = useServices();
  const list = useSignal(environments.changed, () => environments.environments);
  const failure = useSignal(environments.changed, () => environments.failure);
  const isReady = useSignal(environments.changed, () => environments.isReady);
  const launches = useSignal(jobs.changed, () => jobs.jobs);
  const inFront = useSignal(current.changed, () => current.name);
  const [filter, setFilter] = React.useState<string | null>(null);
  const [dismissed, setDismissed] = React.useState<readonly string[]>([]);
  const isShown = useShown(props.view);
  React.useEffect(() => {
    const watching = isShown ? gpus.watch() : null;
    return () => watching?.dispose();
  }, [gpus, isShown]);
  const dismiss = React.useCallback(
    (id: string) => setDismissed(ids => [...ids, id]),
    []
  );
  const rows = merge(list, launches, dismissed);
  const shown = rows.filter(row => row.name.includes(filter ?? ''));
  const isMany = rows.length >= MANY;
  const isAway = failure !== null && list.length === 0;
  return (
    <div className="jp-DLEnv-side">
      <div className="jp-DLEnv-sidehead">
        <h2 className="jp-DLEnv-clip">{trans.__('DL environments')}</h2>
        {isMany && (
          <Button
            kind="icon"
            icon="search"
            label={trans.__('Filter')}
            expanded={filter !== null}
            onClick={() => setFilter(filter === null ? '' : null)}
          />
        )}
        <Button
          kind="icon"
          icon="refresh"
          label={trans.__('Refresh')}
          onClick={() => run(COMMANDS.refresh)}
        />
        {rows.length > 0 && (
          <Button
            kind="accept small"
            icon="add"
            label={trans.__('New')}
            title={trans.__('New environment')}
            onClick={() => run(COMMANDS.create)}
          />
        )}
      </div>
      {filter !== null && isMany && (
        <div className="jp-DLEnv-filter">
          <input
            className="jp-DLEnv-input"
            type="search"
            autoFocus
            aria-label={trans.__('Filter environments by name')}
            placeholder={trans.__('Filter by name')}
            value={filter}
            onChange={event => setFilter(event.target.value)}
            onKeyDown={event => {
              if (event.key === 'Escape') {
                setFilter(null);
              }
            }}
          />
        </div>
      )}
      <EngineLine />
      <HostStrip />
      {isAway && (
        <Obstacle
          failure={failure}
          onRetry={() => run(COMMANDS.refresh)}
          onAll={() => run(COMMANDS.doctor)}
        />
      )}
      {!isAway && rows.length === 0 && isReady && <Empty isShown={isShown} />}
      {rows.length > 0 && (
        <ul
          className="jp-DLEnv-envs"
          aria-label={trans.__('DL environments')}
          onKeyDown={event => rove(event, '.jp-DLEnv-name')}
        >
          {shown.map(row =>
            'job' in row ? (
              <LaunchItem key={row.name} job={row.job} onDismiss={dismiss} />
            ) : (
              <EnvironmentItem
                key={row.name}
                environment={row.environment}
                isCurrent={row.name === inFront}
              />
            )
          )}
        </ul>
      )}
      {rows.length > 0 && shown.length === 0 && (
        <p className="jp-DLEnv-none jp-DLEnv-muted">
          {trans.__('No environment has this name.')}
        </p>
      )}
    </div>
  );
}

function Empty(props: { readonly isShown: boolean }): JSX.Element {
  const { api, trans, run, directory } = useServices();
  const [hasProject, setProject] = React.useState(false);
  React.useEffect(() => {
    let isWanted = props.isShown;
    const found = (is: boolean): void => {
      if (isWanted) {
        setProject(is);
      }
    };
    if (isWanted) {
      // A project with a fault is explained in the form.
      api.project(directory()).then(
        project => found(project !== null),
        () => found(false)
      );
    }
    return () => {
      isWanted = false;
    };
  }, [api, directory, props.isShown]);
  return (
    <div className="jp-DLEnv-empty">
      <h3>{trans.__('No environments yet')}</h3>
      <p className="jp-DLEnv-muted">
        {trans.__(
          'An environment is a container with the image and GPUs you choose. Notebooks, terminals and your IDE share it.'
        )}
      </p>
      <Button
        kind="accept"
        icon="add"
        label={trans.__('New environment')}
        onClick={() => run(COMMANDS.create)}
      />
      {hasProject && (
        <button
          type="button"
          className="jp-DLEnv-link"
          onClick={() => run(COMMANDS.create, { project: 'yes' })}
        >
          {trans.__('Start from dlenv.toml in this folder')}
        </button>
      )}
    </div>
  );
}
