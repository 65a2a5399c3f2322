/**
 * The server's sentences: what stands between backticks is code.
 */
import * as React from 'react';

export interface ISpan {
  readonly text: string;
  readonly isCode: boolean;
}

export function spans(sentence: string): readonly ISpan[] {
  return sentence
    .split('`')
    .map((text, index) => ({ text, isCode: index % 2 === 1 }))
    .filter(span => span.text !== '');
}

/**
 * The parts of a sentence that somebody would copy into a terminal.
 */
export function commandsIn(sentence: string): readonly string[] {
  return spans(sentence)
    .filter(span => span.isCode && /^[\w./-]+ \S/.test(span.text))
    .map(span => span.text);
}

export function Words(props: { readonly children: string }): JSX.Element {
  return (
    <>
      {spans(props.children).map((span, index) =>
        span.isCode ? (
          <code key={index}>{span.text}</code>
        ) : (
          <React.Fragment key={index}>{span.text}</React.Fragment>
        )
      )}
    </>
  );
}
