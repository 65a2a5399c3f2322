/**
 * The small parts that all views are made of.
 */
import { Clipboard } from '@jupyterlab/apputils';
import * as React from 'react';

import { STROKES, type StrokeName } from './icons';
import { useServices } from './services';

export type Tone = 'ok' | 'mine' | 'warn' | 'bad' | '';

export function Icon(props: {
  readonly name: StrokeName;
  readonly size?: number;
  readonly className?: string;
}): JSX.Element {
  const size = props.size ?? 16;
  return (
    <svg
      aria-hidden="true"
      className={props.className}
      width={size}
      height={size}
      viewBox="0 0 16 16"
      fill="none"
      stroke="currentColor"
      strokeWidth={props.name === 'more' ? 2.4 : 1.5}
      strokeLinejoin="round"
      strokeLinecap="round"
    >
      <path d={STROKES[props.name]} />
    </svg>
  );
}

/**
 * An icon and a word: never a colour alone.
 */
export function State(props: {
  readonly icon: StrokeName;
  readonly tone?: Tone;
  readonly children: React.ReactNode;
}): JSX.Element {
  const spin = props.icon === 'spinner' ? 'jp-DLEnv-spin' : '';
  return (
    <span className="jp-DLEnv-state" data-tone={props.tone ?? ''}>
      <Icon name={props.icon} size={14} className={spin} />
      <span>{props.children}</span>
    </span>
  );
}

export function Meter(props: {
  readonly label: string;
  /** 0 to 1; `null` is under way, nobody knows how far. */
  readonly value: number | null;
  readonly mine?: boolean;
  readonly big?: boolean;
  readonly role?: 'meter' | 'progressbar';
}): JSX.Element {
  const value = props.value === null ? null : Math.round(props.value * 100);
  const classes = [
    'jp-DLEnv-meter',
    props.mine ? 'jp-mod-mine' : '',
    props.big ? 'jp-mod-big' : '',
    value === null ? 'jp-mod-unknown' : ''
  ];
  return (
    <span
      className={classes.filter(Boolean).join(' ')}
      role={props.role ?? 'meter'}
      aria-label={props.label}
      aria-valuemin={0}
      aria-valuemax={100}
      {...(value === null ? {} : { 'aria-valuenow': value })}
    >
      <span style={{ width: `${value ?? 30}%` }} />
    </span>
  );
}

export interface IButtonProps {
  readonly icon?: StrokeName;
  readonly label: string;
  readonly onClick: (event: React.MouseEvent<HTMLButtonElement>) => void;
  /** `accept`, `small`, `big`, `plain` and `icon`, which shows no words. */
  readonly kind?: string;
  readonly disabled?: boolean;
  readonly title?: string;
  readonly expanded?: boolean;
  readonly describedBy?: string;
}

export const Button = React.forwardRef<HTMLButtonElement, IButtonProps>(
  function Button(props, ref): JSX.Element {
    const kinds = (props.kind ?? '').split(' ').filter(Boolean);
    const bare = kinds.includes('icon');
    const classes = ['jp-DLEnv-btn', ...kinds.map(kind => `jp-mod-${kind}`)];
    return (
      <button
        ref={ref}
        type="button"
        className={classes.join(' ')}
        disabled={props.disabled}
        onClick={props.onClick}
        title={props.title ?? (bare ? props.label : undefined)}
        aria-label={bare ? props.label : undefined}
        aria-expanded={props.expanded}
        aria-describedby={props.describedBy}
      >
        {props.icon && <Icon name={props.icon} size={bare ? 16 : 14} />}
        {!bare && <span>{props.label}</span>}
      </button>
    );
  }
);

/**
 * Copies, and says so for two seconds.
 */
export function CopyButton(props: {
  readonly text: string;
  readonly label?: string;
  readonly kind?: string;
}): JSX.Element {
  const { trans } = useServices();
  const [copied, setCopied] = React.useState(false);
  React.useEffect(() => {
    const timer = copied ? window.setTimeout(() => setCopied(false), 2000) : 0;
    return () => window.clearTimeout(timer);
  }, [copied]);
  return (
    <>
      <Button
        icon={copied ? 'check' : 'copy'}
        label={copied ? trans.__('Copied') : (props.label ?? trans.__('Copy'))}
        kind={props.kind ?? 'icon'}
        onClick={() => {
          Clipboard.copyToSystem(props.text);
          setCopied(true);
        }}
      />
      <span className="jp-DLEnv-vh" role="status">
        {copied ? trans.__('Copied') : ''}
      </span>
    </>
  );
}

/**
 * One line to copy.
 */
export function Command(props: {
  readonly text: string;
  /** Show all of a long one, on several lines. */
  readonly wraps?: boolean;
}): JSX.Element {
  return (
    <div className="jp-DLEnv-cmd">
      <code title={props.text}>
        {props.wraps
          ? props.text.split(' ').map((word, index) => (
              // Broken between words only: a dash is part of an option.
              <React.Fragment key={index}>
                {index > 0 && ' '}
                <span>{word}</span>
              </React.Fragment>
            ))
          : props.text}
      </code>
      <CopyButton text={props.text} />
    </div>
  );
}

/**
 * Two letters that stand for a framework; a box for anything else.
 */
export function Mark(props: { readonly mark: string }): JSX.Element {
  return (
    <span className="jp-DLEnv-mark" aria-hidden="true">
      {props.mark || <Icon name="box" />}
    </span>
  );
}

/**
 * A load over time.
 */
export function Sparkline(props: {
  /** In percent, oldest first. */
  readonly values: readonly number[];
  readonly width: number;
  readonly height: number;
  readonly samples: number;
}): JSX.Element {
  const { width, height, samples } = props;
  const values = props.values.slice(-samples);
  const step = width / Math.max(1, samples - 1);
  const first = samples - values.length;
  const points = values
    .map((value, index) => {
      const y = height - 1.5 - (Math.min(100, value) / 100) * (height - 3);
      return `${((first + index) * step).toFixed(1)},${y.toFixed(1)}`;
    })
    .join(' ');
  return (
    <svg
      aria-hidden="true"
      className="jp-DLEnv-spark"
      width={width}
      height={height}
      viewBox={`0 0 ${width} ${height}`}
      fill="none"
      stroke="currentColor"
      strokeWidth="1.3"
    >
      <path className="jp-DLEnv-axis" d={`M0 ${height - 0.5}H${width}`} />
      {values.length > 1 && <polyline points={points} />}
    </svg>
  );
}

/**
 * A label on the left and a value on the right.
 */
export function Fact(props: {
  readonly icon?: StrokeName;
  readonly tone?: Tone;
  readonly label: string;
  readonly note?: string;
  readonly children: React.ReactNode;
}): JSX.Element {
  return (
    <div data-tone={props.tone ?? ''}>
      {props.icon && <Icon name={props.icon} />}
      <dt>{props.label}</dt>
      <dd>
        {props.children}
        {props.note && <small>{props.note}</small>}
      </dd>
    </div>
  );
}
