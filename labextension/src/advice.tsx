/**
 * What to try: the server's sentences, with the commands in them as lines to copy.
 */
import * as React from 'react';

import { Command } from './parts';
import { passages, Words } from './words';

export function Advice(props: {
  readonly children: string;
  /** Show all of a long command, on several lines. */
  readonly wraps?: boolean;
}): JSX.Element {
  return (
    <div className="jp-DLEnv-advice">
      {passages(props.children).map((passage, index) =>
        passage.isCommand ? (
          <Command
            key={index}
            text={passage.text}
            wraps={props.wraps ?? false}
          />
        ) : (
          <p key={index}>
            <Words>{passage.text}</Words>
          </p>
        )
      )}
    </div>
  );
}
