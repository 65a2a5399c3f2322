/**
 * The last column of the launch form: what will happen, and the button that lets it happen.
 */
import * as React from 'react';

import { facts, gigabytes, list, memory, size } from './format';
import type { LaunchModel } from './launchModel';
import { FieldError } from './launchAdvanced';
import { sliceName } from './gpuTile';
import { Button, Fact, Icon, State } from './parts';
import { paragraph } from './sentences';
import { useServices, useSignal } from './services';
import { texts } from './wire';
import type { ISheet } from './wireImages';

export function Summary(props: {
  readonly model: LaunchModel;
  readonly onLaunch: () => void;
}): JSX.Element {
  const { model, onLaunch } = props;
  const { trans } = useServices();
  const { choice, failure } = model;
  const obstacle = choice.image ? model.obstacle : null;
  const invalidName = model.problem('name');
  const isBlocked =
    !choice.image || obstacle !== null || model.isLaunching || !choice.name;
  return (
    <section className="jp-DLEnv-col" aria-labelledby="jp-DLEnv-h-plan">
      <h2 className="jp-DLEnv-h2" id="jp-DLEnv-h-plan">
        {trans.__('What will happen')}
      </h2>
      <label className="jp-DLEnv-field">
        <span>{trans.__('Name')}</span>
        <input
          className="jp-DLEnv-input"
          value={choice.name}
          spellCheck={false}
          aria-invalid={choice.name !== '' && invalidName !== null}
          aria-describedby="jp-DLEnv-error-name"
          onChange={event => model.update({ name: event.target.value })}
        />
      </label>
      {choice.name !== '' && <FieldError model={model} field="name" />}
      {model.sheet && <Checks sheet={model.sheet} />}
      <Settings model={model} />
      <div className="jp-DLEnv-foot">
        {failure && (
          <div className="jp-DLEnv-refusal" role="alert">
            <Icon name="error" />
            <p>{paragraph(failure.message, failure.hint)}</p>
          </div>
        )}
        <Button
          kind="accept big"
          label={model.isLaunching ? trans.__('Launching') : trans.__('Launch')}
          disabled={isBlocked}
          describedBy="jp-DLEnv-launch-note"
          onClick={onLaunch}
        />
        <div id="jp-DLEnv-launch-note">
          <Note model={model} />
        </div>
      </div>
    </section>
  );
}

function Note(props: { readonly model: LaunchModel }): JSX.Element {
  const { model } = props;
  const { trans } = useServices();
  const { licence = '', licenceUrl = '', suggestion = '' } = model.sheet ?? {};
  if (!model.choice.image) {
    return <p>{trans.__('Choose an image first.')}</p>;
  }
  if (model.obstacle) {
    return <p>{model.obstacle.message}</p>;
  }
  return (
    <>
      {suggestion && (
        <p>
          <button
            type="button"
            className="jp-DLEnv-link"
            onClick={() => model.pick(withTag(suggestion, model))}
          >
            {trans.__('Use %1, which works here', suggestion)}
          </button>
        </p>
      )}
      {licence && (
        <p>
          {trans.__('Launching accepts the licence of the image: ')}
          {licenceUrl ? (
            <a href={licenceUrl} target="_blank" rel="noreferrer">
              {licence}
            </a>
          ) : (
            licence
          )}
        </p>
      )}
      <p>{trans.__('You can leave this page meanwhile.')}</p>
    </>
  );
}

function Checks(props: { readonly sheet: ISheet }): JSX.Element | null {
  const { trans } = useServices();
  const { sheet } = props;
  const wrong = (code: string): 'bad' | 'warn' | 'ok' => {
    const remark = sheet.remarks.find(found => found.code === code);
    return remark?.weight === 'error' ? 'bad' : remark ? 'warn' : 'ok';
  };
  const icons = { bad: 'error', warn: 'warning', ok: 'done' } as const;
  const disk = wrong('disk');
  const driver = wrong('driver');
  const here = (sheet.whole ?? 0) - (sheet.download ?? 0);
  return (
    <>
      <h3 className="jp-DLEnv-h3">{trans.__('Checks')}</h3>
      <dl className="jp-DLEnv-facts jp-mod-checks">
        {sheet.needsDisk !== null && !sheet.isHere && (
          <Fact icon={icons[disk]} tone={disk} label={trans.__('Disk')}>
            {sheet.freeDisk === null
              ? size(sheet.needsDisk)
              : trans.__(
                  '%1, %2 free',
                  size(sheet.needsDisk),
                  gigabytes(sheet.freeDisk, 0)
                )}
          </Fact>
        )}
        {sheet.driver !== '' && sheet.hostDriver !== '' && (
          <Fact icon={icons[driver]} tone={driver} label={trans.__('Driver')}>
            {trans.__('%1, for %2', sheet.hostDriver, sheet.driver)}
          </Fact>
        )}
        <Fact
          icon={sheet.isHere ? 'done' : 'info'}
          tone={sheet.isHere ? 'ok' : ''}
          label={trans.__('Download')}
        >
          {sheet.isHere
            ? trans.__('none, the image is here')
            : sheet.download === null
              ? trans.__('size unknown')
              : here > 0
                ? trans.__('%1, %2 here', size(sheet.download), size(here))
                : size(sheet.download)}
        </Fact>
        {sheet.remarks.map(remark => (
          <div
            key={remark.text}
            data-tone={remark.weight === 'error' ? 'bad' : 'warn'}
            className="jp-mod-wide"
          >
            <Icon name={remark.weight === 'error' ? 'error' : 'warning'} />
            <dt className="jp-DLEnv-vh">{trans.__('Warning')}</dt>
            <dd>{remark.text}</dd>
          </div>
        ))}
        {sheet.problem && (
          <div className="jp-mod-wide">
            <Icon name="info" />
            <dt className="jp-DLEnv-vh">{trans.__('Note')}</dt>
            <dd>{sheet.problem}</dd>
          </div>
        )}
      </dl>
    </>
  );
}

function Settings(props: { readonly model: LaunchModel }): JSX.Element {
  const { model } = props;
  const { engines, trans, gpus } = useServices();
  const elsewhere = useSignal(engines.changed, () => engines.elsewhere);
  const loopback = elsewhere
    ? trans.__('on %1 only', elsewhere)
    : trans.__('this machine only');
  const { choice } = model;
  const spec = model.checked?.spec;
  const mounts = spec ? texts(spec, 'mounts') : [];
  const ports = spec ? texts(spec, 'ports') : [];
  const bytes = spec?.['shm_size'];
  const sshPort = model.checked?.sshPort ?? 0;
  const taken = (gpus.board?.gpus ?? []).flatMap(gpu => [
    ...(model.taken.includes(gpu.uuid) ? [String(gpu.index)] : []),
    ...gpu.mig
      .filter(part => model.taken.includes(part.uuid))
      .map(part => trans.__('%1 of GPU %2', sliceName(part), gpu.index))
  ]);
  return (
    <>
      <h3 className="jp-DLEnv-h3">{trans.__('Settings')}</h3>
      <dl className="jp-DLEnv-facts">
        <Fact label={trans.__('GPUs')}>
          {model.count === 0 && choice.devices.length === 0
            ? trans.__('none')
            : taken.length > 0
              ? list(taken, trans)
              : String(choice.gpus)}
        </Fact>
        {choice.project && (
          <Fact
            label={trans.__('Project')}
            note={list(choice.project.beyond, trans)}
          >
            <span className="jp-DLEnv-path" title={choice.project.path}>
              <bdi>{choice.project.path}</bdi>
            </span>
          </Fact>
        )}
        {mounts.map(mount => {
          const [source = '', target = '', mode] = mount.split(':');
          return (
            <Fact
              key={mount}
              label={trans.__('Mount')}
              note={facts(
                [
                  target === source
                    ? trans.__('at the same path')
                    : trans.__('as %1', target),
                  mode === 'ro' ? trans.__('read only') : ''
                ],
                trans
              )}
            >
              <span className="jp-DLEnv-path" title={source}>
                <bdi>{source}</bdi>
              </span>
            </Fact>
          );
        })}
        {ports.map(port => {
          const [address = '', host = '', container = ''] = port.split(':');
          return (
            <Fact
              key={port}
              label={trans.__('Port')}
              note={
                address === '127.0.0.1' ? loopback : trans.__('on %1', address)
              }
            >
              {host === '0'
                ? trans.__('%1, next free', container)
                : `${container} → ${host}`}
            </Fact>
          );
        })}
        <Fact
          label={trans.__('User')}
          note={choice.user === 'caller' ? trans.__('new files are yours') : ''}
        >
          {choice.user === 'caller'
            ? trans.__('you')
            : choice.user === 'image'
              ? trans.__('as the image says')
              : choice.user}
        </Fact>
        {sshPort > 0 && (
          <Fact label={trans.__('SSH')} note={loopback}>
            {trans.__('port %1, or the next free', sshPort)}
          </Fact>
        )}
        <Fact label={trans.__('Shared memory')}>
          {model.problem('shm_size') ? (
            <State icon="error" tone="bad">
              {choice.sharedMemory}
            </State>
          ) : typeof bytes === 'number' ? (
            memory(bytes)
          ) : (
            choice.sharedMemory
          )}
        </Fact>
      </dl>
    </>
  );
}

/** A suggestion is a tag, or a whole reference. */
function withTag(suggestion: string, model: LaunchModel): string {
  return suggestion.includes('/')
    ? suggestion
    : `${model.choice.image.replace(/(?::[^/:]*)?(?:@.*)?$/, '')}:${suggestion}`;
}
