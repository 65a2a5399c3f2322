/**
 * What the doctor found: as a view of its own, and below a failure.
 */
import * as React from 'react';

import { Advice } from './advice';
import { failureOf } from './api';
import { EngineSelect } from './engineSelect';
import { facts } from './format';
import { Button, CopyButton, State, type Tone } from './parts';
import type { StrokeName } from './icons';
import { paragraph } from './sentences';
import { type IServices, useServices, useSignal } from './services';
import type { IFailure } from './wire';
import type { IFinding } from './wireDoctor';
import { Words } from './words';

/** Passed checks that are shown without asking. */
const PASSED = 2;

export interface IFindings {
  /** `null` while the doctor looks. */
  readonly findings: readonly IFinding[] | null;
  readonly failure: IFailure | null;
  readonly again: () => void;
}

export function useFindings(): IFindings {
  const { api, engines } = useServices();
  const switches = useSignal(engines.switched, () => engines.switches);
  const [findings, setFindings] = React.useState<readonly IFinding[] | null>(
    null
  );
  const [failure, setFailure] = React.useState<IFailure | null>(null);
  const [round, again] = React.useReducer((count: number) => count + 1, 0);
  React.useEffect(() => {
    let isGone = false;
    setFindings(null);
    setFailure(null);
    api.doctor().then(
      found => {
        if (!isGone) {
          setFindings(found);
        }
      },
      error => {
        if (!isGone) {
          setFailure(failureOf(error));
        }
      }
    );
    return () => {
      isGone = true;
    };
  }, [api, round, switches]);
  return { findings, failure, again };
}

export function Doctor(): JSX.Element {
  const { trans } = useServices();
  const doctor = useFindings();
  return (
    <div className="jp-DLEnv-main">
      <header className="jp-DLEnv-head">
        <h1>{trans.__('Health of DL environments')}</h1>
        <span className="jp-DLEnv-grow" />
        {doctor.findings && (
          <CopyButton
            kind=""
            label={trans.__('Copy report for an administrator')}
            text={report(null, doctor.findings)}
          />
        )}
      </header>
      <div className="jp-DLEnv-page">
        <div className="jp-DLEnv-using">
          <span className="jp-DLEnv-muted">{trans.__('Engine')}</span>
          <div>
            <EngineSelect id="jp-DLEnv-doctor-engine" />
          </div>
        </div>
        <Checks {...doctor} />
      </div>
    </div>
  );
}

export function Checks(props: IFindings): JSX.Element {
  const { findings, failure, again } = props;
  const { trans } = useServices();
  const [all, setAll] = React.useState(false);
  const passed = (findings ?? []).filter(f => f.severity === 'ok');
  const others = (findings ?? []).filter(f => f.severity !== 'ok');
  const shown = all ? passed : passed.slice(0, PASSED);
  const folded = passed.slice(shown.length);
  return (
    <section aria-busy={findings === null && !failure}>
      <h2 className="jp-DLEnv-h2">
        {trans.__('Checks')}{' '}
        <small role="status">
          {findings
            ? counts(findings, trans)
            : failure
              ? ''
              : trans.__('Looking; this takes some seconds')}
        </small>
        <span className="jp-DLEnv-grow" />
        <Button
          kind="plain small"
          icon="refresh"
          label={trans.__('Check again')}
          disabled={findings === null && !failure}
          onClick={again}
        />
      </h2>
      {failure && <p className="jp-DLEnv-error">{failure.message}</p>}
      {findings && (
        <ul className="jp-DLEnv-checks">
          {[...others, ...shown].map(finding => (
            <Check key={finding.id + finding.title} finding={finding} />
          ))}
          {folded.length > 0 && (
            <li>
              <State icon="done" tone="ok">
                {trans.__('%1 passed', folded.length)}
              </State>
              <span className="jp-DLEnv-muted jp-DLEnv-clip">
                {paragraph(...folded.map(finding => finding.title))}
              </span>
              <Button
                kind="icon"
                icon="down"
                label={trans.__('Show all checks')}
                onClick={() => setAll(true)}
              />
            </li>
          )}
        </ul>
      )}
    </section>
  );
}

function Check(props: { readonly finding: IFinding }): JSX.Element {
  const { finding } = props;
  const { trans } = useServices();
  const [isOpen, setOpen] = React.useState(finding.severity === 'error');
  const { icon, tone, word } = look(finding, trans);
  const more = finding.cause || finding.fix || finding.detail;
  return (
    <li>
      <State icon={icon} tone={tone}>
        {word}
      </State>
      <span>
        <Words>{finding.title}</Words>
      </span>
      {more ? (
        <Button
          kind="small"
          label={isOpen ? trans.__('Hide') : trans.__('Explain')}
          expanded={isOpen}
          onClick={() => setOpen(!isOpen)}
        />
      ) : (
        <span />
      )}
      {isOpen && more && (
        <div className="jp-DLEnv-why">
          {finding.cause && (
            <p>
              <Words>{finding.cause}</Words>
            </p>
          )}
          {finding.fix && <Advice>{finding.fix}</Advice>}
          {finding.detail && <pre tabIndex={0}>{finding.detail}</pre>}
        </div>
      )}
    </li>
  );
}

/**
 * Everything that an administrator needs, as text.
 */
export function report(
  failure: IFailure | null,
  findings: readonly IFinding[]
): string {
  const words = failure
    ? [failure.message, failure.hint, failure.detail, '']
    : [];
  const lines = findings.flatMap(finding => [
    `${finding.severity.toUpperCase()} ${finding.id} ${finding.title}`,
    ...[finding.cause, finding.fix, finding.detail]
      .filter(Boolean)
      .map(line => `    ${line.replace(/\n/g, '\n    ')}`)
  ]);
  return [...words.filter((w, i) => w || i === 3), ...lines].join('\n');
}

function counts(
  findings: readonly IFinding[],
  trans: IServices['trans']
): string {
  const count = (severity: string): number =>
    findings.filter(finding => finding.severity === severity).length;
  const errors = count('error');
  const warnings = count('warning');
  return facts(
    [
      errors > 0 ? trans.__('%1 failed', errors) : '',
      warnings > 0 ? trans._n('%1 warning', '%1 warnings', warnings) : '',
      trans.__('%1 passed', count('ok'))
    ],
    trans
  );
}

function look(
  finding: IFinding,
  trans: IServices['trans']
): { icon: StrokeName; tone: Tone; word: string } {
  switch (finding.severity) {
    case 'error':
      return { icon: 'error', tone: 'bad', word: trans._p('check', 'Failed') };
    case 'warning':
      return {
        icon: 'warning',
        tone: 'warn',
        word: trans._p('check', 'Warning')
      };
    case 'info':
      return { icon: 'info', tone: '', word: trans.__('Note') };
    case 'ok':
      return { icon: 'done', tone: 'ok', word: trans._p('check', 'Passed') };
  }
}
