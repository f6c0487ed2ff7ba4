/** A modal dialog with a form, which shows errors of the API. */

import { X } from "lucide-react";
import { type FormEvent, type ReactNode, useState } from "react";
import * as Aria from "react-aria-components";
import type { Refused } from "../api/client";
import { refused } from "../api/client";
import { Button, IconButton, TextField } from "./controls";
import { Failure } from "./feedback";

interface DialogProps {
  title: string;
  children: ReactNode;
  onClose: () => void;
  wide?: boolean;
  role?: "dialog" | "alertdialog";
}

export function Dialog({ title, children, onClose, wide, role = "dialog" }: DialogProps) {
  return (
    <Aria.ModalOverlay isOpen isDismissable onOpenChange={(open) => open || onClose()} className="overlay">
      <Aria.Modal className={`modal${wide ? " wide" : ""}`}>
        <Aria.Dialog className="dialog" role={role}>
          <header className="row">
            <Aria.Heading slot="title" level={2} className="grow">
              {title}
            </Aria.Heading>
            <IconButton label="Close" icon={<X aria-hidden size={16} />} onPress={onClose} />
          </header>
          {children}
        </Aria.Dialog>
      </Aria.Modal>
    </Aria.ModalOverlay>
  );
}

interface FormDialogProps {
  title: string;
  action: string;
  danger?: boolean;
  wide?: boolean;
  children?: ReactNode;
  /** Closes the dialog when fulfilled; a rejection is the API's error. */
  onSubmit: () => Promise<unknown>;
  onClose: () => void;
}

export function FormDialog({ title, action, danger, wide, children, onSubmit, onClose }: FormDialogProps) {
  const [error, setError] = useState<Refused | null>(null);
  const [busy, setBusy] = useState(false);

  async function submit(event: FormEvent) {
    event.preventDefault();
    event.stopPropagation();
    setBusy(true);
    setError(null);
    try {
      await onSubmit();
      onClose();
    } catch (thrown) {
      setError(refused(thrown));
      setBusy(false);
    }
  }

  return (
    <Dialog title={title} onClose={onClose} wide={wide ?? false} role={danger ? "alertdialog" : "dialog"}>
      <Aria.Form onSubmit={submit} className="form">
        {children}
        {error && <Failure error={error} />}
        <footer className="row">
          <span className="grow" />
          <Button onPress={onClose}>Cancel</Button>
          <Button type="submit" look={danger ? "danger" : "primary"} isPending={busy}>
            {action}
          </Button>
        </footer>
      </Aria.Form>
    </Dialog>
  );
}

/** Asks for a comment before an action. */
export function CommentDialog({
  title,
  action,
  danger,
  children,
  onConfirm,
  onClose,
}: {
  title: string;
  action: string;
  danger?: boolean;
  children?: ReactNode;
  onConfirm: (comment: string) => Promise<unknown>;
  onClose: () => void;
}) {
  const [comment, setComment] = useState("");
  return (
    <FormDialog
      title={title}
      action={action}
      danger={danger ?? false}
      onSubmit={() => onConfirm(comment.trim())}
      onClose={onClose}
    >
      {children}
      <TextField
        label="Comment"
        description="The reason, for the audit log."
        value={comment}
        onChange={setComment}
        maxLength={500}
        rows={2}
        autoFocus
      />
    </FormDialog>
  );
}
