/**
 * One choice of a few, side by side: arrows move and choose.
 */
import * as React from 'react';

import { rove } from './roving';

export function Segmented<T extends string>(props: {
  /** The id of what names it. */
  readonly labelledBy: string;
  readonly values: readonly T[];
  readonly value: T | undefined;
  readonly word: (value: T) => string;
  /** Whether a view that is opened begins here. */
  readonly isFirst?: boolean;
  readonly onChange: (value: T) => void;
}): JSX.Element {
  return (
    <div
      className="jp-DLEnv-seg"
      role="radiogroup"
      aria-labelledby={props.labelledBy}
      onKeyDown={event => rove(event, '[role=radio]')?.click()}
    >
      {props.values.map(value => {
        const isChosen = value === props.value;
        return (
          <button
            key={value}
            type="button"
            role="radio"
            aria-checked={isChosen}
            tabIndex={isChosen ? 0 : -1}
            data-first-focus={props.isFirst && isChosen ? '' : undefined}
            onClick={() => props.onChange(value)}
          >
            {props.word(value)}
          </button>
        );
      })}
    </div>
  );
}
