/**
 * What few launches need: mounts, ports, variables, shared memory, the user, an engine, an end
 * when idle.
 */
import * as React from 'react';

import { EngineSelect } from './engineSelect';
import { EXAMPLES, ROOT } from './examples';
import type { LaunchModel } from './launchModel';
import { Button, Icon } from './parts';
import { paragraph } from './sentences';
import { useServices, useSignal } from './services';

/** Those that have a word; a project may name another, as UID:GID. */
const USERS = ['caller', 'image', 'root'];
/** Of the request, by the parts of this form. */
const FIELDS = ['mounts', 'ports', 'env', 'shm_size', 'user', 'idle_stop'];

export function Advanced(props: { readonly model: LaunchModel }): JSX.Element {
  const { model } = props;
  const { trans } = useServices();
  const [isOpen, setOpen] = React.useState(false);
  const hasError = FIELDS.some(field => model.problem(field));
  return (
    <details
      className="jp-DLEnv-more"
      open={isOpen || hasError}
      onToggle={event => setOpen(event.currentTarget.open)}
    >
      <summary>
        <Icon name={isOpen || hasError ? 'down' : 'right'} />
        <b>{trans.__('Advanced')}</b>
        {!isOpen && (
          <span className="jp-DLEnv-muted jp-DLEnv-clip">
            {trans.__(
              'mounts, ports, variables, shared memory, user, engine, idle time'
            )}
          </span>
        )}
      </summary>
      <div className="jp-DLEnv-adv">
        <Mounts model={model} />
        <Ports model={model} />
        <Variables model={model} />
        <SharedMemory model={model} />
        <User model={model} />
        <Engine />
        <IdleStop model={model} />
      </div>
    </details>
  );
}

function Mounts(props: { readonly model: LaunchModel }): JSX.Element {
  const { model } = props;
  const { trans } = useServices();
  const { mounts } = model.choice;
  const set = (index: number, change: Partial<(typeof mounts)[number]>): void =>
    model.update({ mounts: changed(mounts, index, change) });
  return (
    <Rows
      label={trans.__('Mounts')}
      field="mounts"
      model={model}
      addLabel={trans.__('Add mount')}
      onAdd={() =>
        model.update({
          mounts: [...mounts, { source: '', target: '', readOnly: false }]
        })
      }
    >
      {mounts.map((mount, index) => (
        <div className="jp-DLEnv-pair" key={index}>
          <Input
            label={trans.__('Directory of this machine')}
            placeholder={EXAMPLES.directory}
            value={mount.source}
            onChange={source =>
              set(index, {
                source,
                // The same path inside, until somebody says another.
                ...(mount.target === mount.source ? { target: source } : {})
              })
            }
          />
          <Input
            label={trans.__('Directory inside')}
            placeholder={EXAMPLES.directory}
            value={mount.target}
            onChange={target => set(index, { target })}
          />
          <select
            className="jp-DLEnv-input"
            aria-label={trans.__('May it be written to?')}
            value={mount.readOnly ? 'ro' : 'rw'}
            onChange={event =>
              set(index, { readOnly: event.target.value === 'ro' })
            }
          >
            <option value="rw">{trans.__('Writable')}</option>
            <option value="ro">{trans.__('Read only')}</option>
          </select>
          <Button
            icon="close"
            kind="icon"
            label={trans.__('Remove')}
            onClick={() => model.update({ mounts: without(mounts, index) })}
          />
        </div>
      ))}
    </Rows>
  );
}

function Ports(props: { readonly model: LaunchModel }): JSX.Element {
  const { model } = props;
  const { trans } = useServices();
  const { ports } = model.choice;
  const set = (index: number, change: Partial<(typeof ports)[number]>): void =>
    model.update({ ports: changed(ports, index, change) });
  return (
    <Rows
      label={trans.__('Ports')}
      field="ports"
      model={model}
      addLabel={trans.__('Add port')}
      onAdd={() =>
        model.update({ ports: [...ports, { container: '', host: '' }] })
      }
    >
      {ports.map((port, index) => (
        <div className="jp-DLEnv-pair" key={index}>
          <Input
            label={trans.__('Port inside')}
            placeholder="6006"
            value={port.container}
            onChange={container => set(index, { container })}
          />
          <Input
            label={trans.__('Port of this machine')}
            placeholder={trans.__('next free')}
            value={port.host}
            onChange={host => set(index, { host })}
          />
          <span />
          <Button
            icon="close"
            kind="icon"
            label={trans.__('Remove')}
            onClick={() => model.update({ ports: without(ports, index) })}
          />
        </div>
      ))}
    </Rows>
  );
}

function Variables(props: { readonly model: LaunchModel }): JSX.Element {
  const { model } = props;
  const { trans } = useServices();
  const { variables } = model.choice;
  const set = (
    index: number,
    change: Partial<(typeof variables)[number]>
  ): void => model.update({ variables: changed(variables, index, change) });
  return (
    <Rows
      label={trans.__('Variables')}
      field="env"
      model={model}
      addLabel={trans.__('Add variable')}
      onAdd={() =>
        model.update({ variables: [...variables, { name: '', value: '' }] })
      }
    >
      {variables.map((variable, index) => (
        <div className="jp-DLEnv-pair" key={index}>
          <Input
            label={trans.__('Name of the variable')}
            placeholder={EXAMPLES.variable}
            value={variable.name}
            onChange={name => set(index, { name })}
          />
          <Input
            label={trans.__('Value of the variable')}
            placeholder={EXAMPLES.value}
            value={variable.value}
            onChange={value => set(index, { value })}
          />
          <span />
          <Button
            icon="close"
            kind="icon"
            label={trans.__('Remove')}
            onClick={() =>
              model.update({ variables: without(variables, index) })
            }
          />
        </div>
      ))}
    </Rows>
  );
}

function SharedMemory(props: { readonly model: LaunchModel }): JSX.Element {
  const { model } = props;
  const { trans } = useServices();
  return (
    <>
      <span>{trans.__('Shared memory')}</span>
      <div className="jp-DLEnv-half">
        <Input
          label={trans.__('Shared memory')}
          placeholder={EXAMPLES.memory}
          value={model.choice.sharedMemory}
          isInvalid={model.problem('shm_size') !== null}
          onChange={sharedMemory => model.update({ sharedMemory })}
        />
        <FieldError model={model} field="shm_size" />
      </div>
    </>
  );
}

function User(props: { readonly model: LaunchModel }): JSX.Element {
  const { model } = props;
  const { trans } = useServices();
  return (
    <>
      <span>{trans.__('User')}</span>
      <div className="jp-DLEnv-half">
        <select
          className="jp-DLEnv-input"
          aria-label={trans.__('User')}
          value={model.choice.user}
          onChange={event => model.update({ user: event.target.value })}
        >
          <option value="caller">{trans.__('You, as here')}</option>
          <option value="image">{trans.__('As the image says')}</option>
          <option value={ROOT}>{ROOT}</option>
          {!USERS.includes(model.choice.user) && (
            <option>{model.choice.user}</option>
          )}
        </select>
        <FieldError model={model} field="user" />
      </div>
    </>
  );
}

function Engine(): JSX.Element | null {
  const { engines, trans } = useServices();
  const isKnown = useSignal(engines.changed, () => engines.inUse !== null);
  return isKnown ? (
    <>
      <span>{trans.__('Engine')}</span>
      <div className="jp-DLEnv-half">
        <EngineSelect id="jp-DLEnv-engine-note" />
      </div>
    </>
  ) : null;
}

function IdleStop(props: { readonly model: LaunchModel }): JSX.Element {
  const { model } = props;
  const { trans } = useServices();
  return (
    <>
      <span>{trans.__('Stop when idle')}</span>
      <div className="jp-DLEnv-half">
        <Input
          label={trans.__('Minutes without use after which it stops')}
          placeholder={trans.__('as the server has it')}
          value={model.choice.idleStop}
          isInvalid={model.problem('idle_stop') !== null}
          onChange={idleStop => model.update({ idleStop })}
        />
        <div className="jp-DLEnv-note">
          <p className="jp-DLEnv-muted">
            {trans.__('Minutes without use; 0 is never.')}
          </p>
        </div>
        <FieldError model={model} field="idle_stop" />
      </div>
    </>
  );
}

function Rows(props: {
  readonly label: string;
  readonly field: string;
  readonly model: LaunchModel;
  readonly addLabel: string;
  readonly onAdd: () => void;
  readonly children: React.ReactNode;
}): JSX.Element {
  return (
    <>
      <span>{props.label}</span>
      <div
        className="jp-DLEnv-rows"
        data-invalid={props.model.problem(props.field) ? '' : undefined}
      >
        {props.children}
        <FieldError model={props.model} field={props.field} />
        <div>
          <Button
            icon="add"
            kind="small"
            label={props.addLabel}
            onClick={props.onAdd}
          />
        </div>
      </div>
    </>
  );
}

function Input(props: {
  readonly label: string;
  readonly placeholder: string;
  readonly value: string;
  readonly isInvalid?: boolean;
  readonly onChange: (value: string) => void;
}): JSX.Element {
  return (
    <input
      className="jp-DLEnv-input"
      aria-label={props.label}
      aria-invalid={props.isInvalid}
      placeholder={props.placeholder}
      spellCheck={false}
      value={props.value}
      onChange={event => props.onChange(event.target.value)}
    />
  );
}

export function FieldError(props: {
  readonly model: LaunchModel;
  readonly field: string;
}): JSX.Element | null {
  const problem = props.model.problem(props.field);
  return (
    problem && (
      <p className="jp-DLEnv-error" id={`jp-DLEnv-error-${props.field}`}>
        <Icon name="error" size={14} />
        <span>{paragraph(problem.message, problem.hint)}</span>
      </p>
    )
  );
}

function changed<T>(
  items: readonly T[],
  index: number,
  change: Partial<T>
): readonly T[] {
  return items.map((item, i) => (i === index ? { ...item, ...change } : item));
}

function without<T>(items: readonly T[], index: number): readonly T[] {
  return items.filter((_, i) => i !== index);
}
