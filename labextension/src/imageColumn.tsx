/**
 * The first column of the launch form: which image.
 */
import * as React from 'react';

import { imageName } from './format';
import type { IImageChoice, ITag } from './images';
import type { LaunchModel } from './launchModel';
import { Button, Icon, Mark, State } from './parts';
import { rove } from './roving';
import { useServices } from './services';

/** Tags that are shown before somebody asks for more. */
const NEWEST = 3;

export function ImageColumn(props: {
  readonly model: LaunchModel;
}): JSX.Element {
  const { model } = props;
  const { trans } = useServices();
  // In a narrow form, only the chosen image is shown; until there is one, all are.
  const [isExpanded, setExpanded] = React.useState(model.choice.image === '');
  const { recommended, here, typed } = model.images;
  const group = (
    title: string,
    choices: readonly IImageChoice[]
  ): JSX.Element | null =>
    choices.length === 0 ? null : (
      <>
        <h3 className="jp-DLEnv-group">{title}</h3>
        <ul>
          {choices.map(choice => (
            <Image
              key={choice.key}
              choice={choice}
              model={model}
              isStop={choice.key === stop}
            />
          ))}
        </ul>
      </>
    );
  const choices = [...recommended, ...here];
  const chosen = choices.find(choice => isChoice(choice, model.choice.image));
  const stop = (chosen ?? choices[0])?.key;
  const isEmpty = recommended.length + here.length === 0 && !typed;
  return (
    <section
      className={`jp-DLEnv-col${isExpanded ? ' jp-mod-expanded' : ''}`}
      aria-labelledby="jp-DLEnv-h-image"
    >
      <h2 className="jp-DLEnv-h2" id="jp-DLEnv-h-image">
        {trans.__('Image')}
      </h2>
      <label className="jp-DLEnv-search">
        <Icon name="search" />
        <span className="jp-DLEnv-vh">{trans.__('Search images')}</span>
        <input
          className="jp-DLEnv-input"
          type="search"
          data-first-focus=""
          placeholder={trans.__('Search, or paste a reference')}
          value={model.query}
          onChange={event => {
            setExpanded(true);
            model.search(event.target.value);
          }}
          onKeyDown={event => {
            if (event.key === 'Enter' && typed) {
              event.preventDefault();
              model.update({ image: typed });
              model.search('');
            }
          }}
        />
      </label>
      <div
        className="jp-DLEnv-images"
        onKeyDown={event => rove(event, '.jp-DLEnv-imagehead')}
      >
        {typed && (
          <ul>
            <Typed
              reference={typed}
              onPick={() => {
                model.update({ image: typed });
                model.search('');
              }}
            />
          </ul>
        )}
        {!model.query && <Chosen model={model} />}
        {group(trans.__('NVIDIA NGC'), recommended)}
        {group(trans.__('On this machine'), here)}
        {model.imagesFailure && (
          <p className="jp-DLEnv-error" role="alert">
            {model.imagesFailure.message}
          </p>
        )}
        {isEmpty && !model.imagesFailure && (
          <p className="jp-DLEnv-muted jp-DLEnv-none">
            {model.query
              ? trans.__('No image has this name.')
              : trans.__('Paste the reference of an image above.')}
          </p>
        )}
      </div>
      <div className="jp-DLEnv-others">
        <Button
          icon={isExpanded ? 'up' : 'down'}
          kind="small"
          label={trans.__('Other images')}
          expanded={isExpanded}
          onClick={() => setExpanded(!isExpanded)}
        />
      </div>
    </section>
  );
}

/**
 * The chosen image, if it is in no group: somebody pasted its reference.
 */
function Chosen(props: { readonly model: LaunchModel }): JSX.Element | null {
  const { model } = props;
  const { image } = model.choice;
  const { recommended, here } = model.images;
  const isListed = [...recommended, ...here].some(choice =>
    isChoice(choice, image)
  );
  if (!image || isListed) {
    return null;
  }
  const { mark, title, version } = imageName(image);
  return (
    <ul>
      <li className="jp-DLEnv-image jp-mod-selected">
        <div className="jp-DLEnv-imagehead" aria-current="true">
          <Mark mark={mark} />
          <span className="jp-DLEnv-clip">
            <b>{[title, version].filter(Boolean).join(' ')}</b>
            <small className="jp-DLEnv-clip">{image}</small>
          </span>
        </div>
      </li>
    </ul>
  );
}

function Typed(props: {
  readonly reference: string;
  readonly onPick: () => void;
}): JSX.Element {
  const { trans } = useServices();
  return (
    <li className="jp-DLEnv-image">
      <button
        type="button"
        className="jp-DLEnv-imagehead"
        onClick={props.onPick}
      >
        <Mark mark={imageName(props.reference).mark} />
        <span className="jp-DLEnv-clip">
          <b className="jp-DLEnv-clip">{props.reference}</b>
          <small>{trans.__('Use this reference')}</small>
        </span>
      </button>
    </li>
  );
}

function Image(props: {
  readonly choice: IImageChoice;
  readonly model: LaunchModel;
  readonly isStop: boolean;
}): JSX.Element {
  const { choice, model } = props;
  const { trans } = useServices();
  const hasTags = choice.repository !== '';
  const isChosen = isChoice(choice, model.choice.image);
  const open = (): void => {
    const newest = choice.tags[0];
    if (newest && !isChosen) {
      model.update({ image: newest.reference });
    }
    if (hasTags) {
      void model.loadTags(choice.repository).then(() => {
        const first = model.images.recommended.find(c => c.key === choice.key)
          ?.tags[0];
        if (first && !newest && !model.isDisposed) {
          model.update({ image: first.reference });
        }
      });
      if (!newest) {
        // Until the registry has told its tags.
        model.update({ image: choice.repository });
      }
    }
  };
  return (
    <li className={`jp-DLEnv-image${isChosen ? ' jp-mod-selected' : ''}`}>
      <button
        type="button"
        className="jp-DLEnv-imagehead"
        tabIndex={props.isStop ? 0 : -1}
        aria-expanded={hasTags ? isChosen : undefined}
        aria-current={isChosen ? 'true' : undefined}
        onClick={open}
      >
        <Mark mark={choice.mark} />
        <span className="jp-DLEnv-clip">
          <b className="jp-DLEnv-clip">{choice.title}</b>
          <small className="jp-DLEnv-clip" title={choice.purpose}>
            {choice.purpose}
          </small>
        </span>
        {!(isChosen && hasTags) && choice.tags.some(tag => tag.ready) && (
          <State icon="check" tone="ok">
            {trans.__('Ready')}
          </State>
        )}
      </button>
      {isChosen && hasTags && <Tags choice={choice} model={model} />}
      {isChosen && model.sheet?.notes && (
        <p className="jp-DLEnv-inside" title={model.sheet.notes}>
          {model.sheet.notes}
        </p>
      )}
    </li>
  );
}

function Tags(props: {
  readonly choice: IImageChoice;
  readonly model: LaunchModel;
}): JSX.Element {
  const { choice, model } = props;
  const { trans } = useServices();
  const [all, setAll] = React.useState(false);
  React.useEffect(() => {
    void model.loadTags(choice.repository);
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
            onPick={() => model.update({ image: tag.reference })}
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

function isChoice(choice: IImageChoice, image: string): boolean {
  return choice.repository
    ? repositoryOf(image) === choice.repository
    : image === choice.key;
}

function repositoryOf(image: string): string {
  return image.replace(/(?::[^/:]*)?(?:@.*)?$/, '');
}
