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

export interface IPassage {
  readonly text: string;
  readonly isCommand: boolean;
}

/**
 * A text in pieces: what somebody would copy into a terminal, and what stands between.
 */
export function passages(text: string): readonly IPassage[] {
  const pieces: IPassage[] = [];
  let between = '';
  const close = (): void => {
    // What joined the sentence to the command before it says nothing on a line of its own.
    const rest =
      pieces.length > 0 ? between.replace(/^[\s.,;:。，；：]+/, '') : between;
    if (rest.trim()) {
      pieces.push({ text: rest.trim(), isCommand: false });
    }
    between = '';
  };
  for (const span of spans(text)) {
    if (span.isCode && /^[\w./-]+ \S/.test(span.text)) {
      close();
      pieces.push({ text: span.text, isCommand: true });
    } else {
      between += span.isCode ? `\`${span.text}\`` : span.text;
    }
  }
  close();
  return pieces;
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
