/**
 * The tags of one image, newest first.
 */
import * as React from 'react';

import type { IImageChoice, ITag } from './images';
import type { LaunchModel } from './launchModel';
import { State } from './parts';
import { rove } from './roving';
import { useServices } from './services';

/** Tags that are shown before somebody asks for more. */
const NEWEST = 3;

export function Tags(props: {
  readonly choice: IImageChoice;
  readonly model: LaunchModel;
}): JSX.Element {
  const { choice, model } = props;
  const { trans } = useServices();
  const [all, setAll] = React.useState(false);
  React.useEffect(() => {
    void model.sources.loadTags(choice.repository);
  }, [model, choice.repository]);
  const chosen = model.choice.image;
  const newest = choice.tags.slice(0, NEWEST);
  const kept = choice.tags.filter(t => t.reference === chosen);
  const shown = all ? choice.tags : [...new Set([...newest, ...kept])];
  const older = choice.tags.length - shown.length;
  const stop = shown.some(t => t.reference === chosen)
    ? chosen
    : shown[0]?.reference;
  return (
    <>
      <div
        className="jp-DLEnv-tags"
        role="radiogroup"
        aria-label={trans.__('Tag of %1', choice.title)}
        onKeyDown={event => rove(event, '[role=radio]')?.click()}
      >
        {shown.map(tag => (
          <Tag
            key={tag.reference}
            tag={tag}
            isChosen={tag.reference === chosen}
            isStop={tag.reference === stop}
            onPick={() => model.pick(tag.reference)}
          />
        ))}
      </div>
      {shown.length === 0 && (
        <p className="jp-DLEnv-inside">
          {trans.__('Its tags cannot be listed now; paste a reference above.')}
        </p>
      )}
      {older > 0 && (
        <button
          type="button"
          className="jp-DLEnv-older jp-DLEnv-link"
          onClick={() => setAll(true)}
        >
          {trans._n('%1 older tag', '%1 older tags', older)}
        </button>
      )}
    </>
  );
}

function Tag(props: {
  readonly tag: ITag;
  readonly isChosen: boolean;
  readonly isStop: boolean;
  readonly onPick: () => void;
}): JSX.Element {
  const { trans } = useServices();
  const { tag, isChosen } = props;
  return (
    <div
      role="radio"
      aria-checked={isChosen}
      tabIndex={props.isStop ? 0 : -1}
      onClick={props.onPick}
      onKeyDown={event => {
        if (event.key === ' ' || event.key === 'Enter') {
          event.preventDefault();
          props.onPick();
        }
      }}
    >
      <span className="jp-DLEnv-radio" />
      <span className="jp-DLEnv-clip">{tag.tag}</span>
      {tag.ready && (
        <State icon="check" tone="ok">
          {trans.__('Ready')}
        </State>
      )}
    </div>
  );
}
